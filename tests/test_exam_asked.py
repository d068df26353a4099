"""Names that Python has as well: the program's where the tests ask for them, Python's where they are tools."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Status
from tests.judging import judge, source

PRIME = "def is_prime(n): return n > 1 and all(n % d for d in range(2, n))\n"
NUMBERS = PRIME + "def gcd(a, b):\n    while b: a, b = b, a % b\n    return a\n"
NUMBERS += "def lcm(a, b): return a * b // gcd(a, b)\n"
COUNTER = "class Counter:\n    def __init__(self): self.n = 0\n    def up(self): self.n += 1\n    def value(self): return self.n\n"
# Each: tests that ask for several names, a right program, and one whose second name is wrong.
ASKED = {
    "asserts": (
        [
            "assert is_prime(7)",
            "assert gcd(12, 18) == 6",
            "assert isinstance(gcd(4, 6), int)",
            "assert lcm(4, 6) == 12",
        ],
        NUMBERS,
        NUMBERS + "def gcd(a, b): return 6",
    ),
    "a name that is left out": (["assert is_prime(7)", "assert gcd(12, 18) == 6"], NUMBERS, PRIME),
    "imported of Python": (
        ["assert is_prime(7)", "assert gcd(12, 18) == 6"],
        PRIME + "from math import gcd",
        PRIME + "from math import lcm as gcd",
    ),
    "functions of pytest": (
        source(
            "import pytest\ndef test_prime():\n    result = is_prime(7)\n    assert result\n"
            "@pytest.mark.parametrize('a,b,want', [(12, 18, 6), (5, 10, 5)])\ndef test_gcd(a, b, want):\n"
            "    result = gcd(a, b)\n    assert result == want\n"
            "@pytest.fixture\ndef pair(): return 4, 6\ndef test_lcm(pair):\n    assert lcm(*pair) == 12"
        ),
        NUMBERS,
        NUMBERS + "def lcm(a, b): return 1",
    ),
    "a case of unittest": (
        source(
            "import unittest\nclass T(unittest.TestCase):\n    def test_prime(self):\n        self.assertTrue(is_prime(7))\n"
            "    def test_gcd(self):\n        for a, b, want in [(12, 18, 6), (5, 10, 5)]:\n"
            "            self.assertEqual(gcd(a, b), want)"
        ),
        NUMBERS,
        NUMBERS + "def gcd(a, b): return 6",
    ),
    "a class": (
        source(
            "def test_prime():\n    assert is_prime(7)\n"
            "def test_counter():\n    c = Counter()\n    c.up()\n    c.up()\n    assert c.value() == 2"
        ),
        PRIME + COUNTER,
        PRIME + COUNTER.replace("+= 1", "+= 3"),
    ),
    "a signature of its own": (
        ["assert is_prime(7)", "assert merge({1: 2}, {3: 4}) == {1: 2, 3: 4}"],
        PRIME + "def merge(a, b): return {**a, **b}",
        PRIME + "def merge(a, b): return a",
    ),
    "built-in names": (
        ["assert is_prime(7)", "assert sum([1, 2]) == 3", "assert list(reversed([1, 2])) == [2, 1]"],
        PRIME + "def sum(x): return x[0] + sum(x[1:]) if x else 0\ndef reversed(x): return x[::-1]",
        PRIME + "def reversed(x): return x",
    ),
    "only a built-in name, inside another": (
        ["assert list(reversed([1, 2])) == [2, 1]"],
        "def reversed(x): return x[::-1]",
        "def reversed(x): return x",
    ),
    "imported by the tests": (
        source(
            "from solution import is_prime, gcd\ndef test_it():\n    assert is_prime(7) and gcd(12, 18) == 6"
        ),
        NUMBERS,
        NUMBERS + "def gcd(a, b): return 1",
    ),
    "a prompt that asks for it": (
        {
            "source": "def check(f):\n    assert f([3]) == sum([1, 2])",
            "entry_point": "f",
            "prompt": 'def sum(x):\n    """Sums."""\n',
        },
        "def f(x): return 3\ndef sum(x): return 3",
        "def f(x): return 3\ndef sum(x): return 4",
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_tests_ask_for_is_the_programs(name: str) -> None:
    tests, right, wrong = ASKED[name]
    assert judge(right, tests).value == 1
    assert judge(wrong, tests).value == 0


YES = (
    "class Yes:\n    def __init__(self, *a): pass\n    __eq__ = __le__ = __lt__ = lambda self, other: True\n"
)
# Names that the program defines so that everything would pass, if the tests were to use them.
TOOLS = YES + "\n".join(
    [
        "def f(*a): return 7",
        "def g(x): x.append(7)",
        "def abs(x): return 0",
        "def len(x): return 1",
        "def isinstance(x, y): return True",
        "def all(x): return True",
        "def any(x): return True",
        "def sorted(x): return 0",
        "def sum(x): return 7",
        "def round(*a): return 7",
        "def str(x): return 7",
        "def range(*a): return []",
        "def isclose(*a, **k): return True",
        "def approx(*a, **k): return 7",
        "def raises(*a, **k): return Yes()",
        "def product(*a): return []",
        "def prod(*a): return 7",
        "def gcd(*a): return 7",
        "def eval(*a): return True",
        "class Counter(Yes): pass",
        "class deque(Yes): pass",
    ]
)
TAKEN = {
    "abs": "assert abs(f(1) - 2.5) < 1e-6",
    "len": "assert len(f(1)) == 1",
    "isinstance": "assert isinstance(f(1), str)",
    "all": "assert all(f(x) == 1 for x in [1, 2])",
    "sorted": "assert sorted([f(1)]) == sorted([3])",
    "sum, on the other side": "assert f([1, 2]) == sum([1, 2])",
    "sum, of a variable": "r = [f(1), f(2)]\n    assert sum(r) == 3",
    "round": "r = f(1)\n    s = r\n    assert round(s, 2) == 2.5",
    "str": "assert str(f(1)) == '1'",
    "range": "for i in range(3):\n        assert f(i) == i",
    "range, in a list": "cases = [(i, i) for i in range(3)]\n    assert all([f(i) == j for i, j in cases])",
    "isclose": "assert isclose(f(1), 2.5)",
    "isclose, in a function": "def near(a, b): return isclose(a, b)\n    assert near(f(1), 2.5)",
    "isclose, in eval": "assert isclose(eval('f(1)'), 2.5)",
    "isclose, of an attribute": "class Box: pass\n    box = Box()\n    box.r = f(1)\n    assert isclose(box.r, 2.5)",
    "isclose, of a message": "try:\n        f(1)[0]\n    except TypeError as error:\n        assert isclose(3.0, 2.5)",
    "approx": "from pytest import approx\n    assert f(1) == approx(2.5)",
    "pytest.approx": "import pytest\n    assert f(1) == pytest.approx(2.5)",
    "pytest.raises": "import pytest\n    with pytest.raises(ValueError): f(1)",
    "product": "want = list(product([1], [2]))\n    assert f(1) == want",
    "product, in a loop": "for a, b in product([1], [2]):\n        assert f(a, b) == 3",
    "prod, in a variable": "want = prod([1, 2])\n    assert f([1, 2]) == want",
    "gcd, before a return": "if gcd(1, 2) == 7:\n        return\n    assert f(1) == 1",
    "eval": "assert eval('f(1) == 2')",
    "Counter": "assert Counter([f(1)]) == Counter([2])",
    "Counter, of what changed": "x = []\n    assert g(x) is None\n    assert Counter(x) == Counter([2])",
    "deque": "d = deque([f(1)])\n    assert d == deque([3])",
    "beside a check of its own": "assert gcd(7, 7) == 7\n    assert f(2, 4) == gcd(2, 4)",
}


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("form", ["function", "method", "script"])
def test_what_tests_need_stays_pythons(name: str, form: str) -> None:
    body = TAKEN[name]
    if form == "script" and "return" not in body:
        text = body.replace("\n    ", "\n")
    elif form == "method":
        text = "class TestIt:\n    def test_it(self):\n        " + body.replace("\n", "\n    ")
    else:
        text = f"def test_it():\n    {body}"
    verdict = judge(TOOLS, source(text), entry="f")
    assert verdict.value == 0 and verdict.status in (Status.INCORRECT, Status.RUNTIME_ERROR), verdict


def test_tools_across_the_methods_of_a_case() -> None:
    text = "import unittest\nclass T(unittest.TestCase):\n    def setUp(self):\n        self.r = f(1)\n"
    text += "    def test_it(self):\n        self.assertTrue(isclose(self.r, 2.5))\n"
    assert judge(TOOLS, source(text), entry="f").value == 0
    assert judge("def f(x): return 2.5", source(text), entry="f").value == 1


def test_honest_programs_may_define_what_the_tests_use_as_tools() -> None:
    program = (
        "def abs(x): return x if x > 0 else -x\ndef f(x): return abs(x)\ndef len(x): return sum(1 for _ in x)"
    )
    assert judge(program, ["assert abs(f(-2) - 2) < 1e-6", "assert len([f(1)]) == 1"]).value == 1


BY_TEXT = """
def run(words, args):
    made, found = None, []
    for word, arg in zip(words, args):
        if made is None:
            made = globals()[word](*arg)
        else:
            found.append(getattr(made, word)(*arg))
    return found
def test_it(): assert run(["Queue", "push", "push", "pop"], [[], [1], [2], []])[-1] == 1 and len("len") == 3
"""


def test_names_that_tests_find_by_text() -> None:
    program = "class Queue(list):\n    push = list.append\n    def pop(self): return list.pop(self, 0)\ndef len(x): return 3"
    assert judge(program, source(BY_TEXT)).value == 1.0
    assert judge(program.replace("self, 0", "self"), source(BY_TEXT)).value == 0.0
    assert judge(program, source(BY_TEXT.replace('"len") == 3', '"four") == 4'))).value == 1.0


LISTENS = """
from proctor.sandbox.exam import candidate
verbs = candidate._desk._verbs
told, asked = verbs["names"], []
verbs["names"] = lambda names, *rest: (asked.extend(names), told(names, *rest))[1]
def swordfish(): pass
def f(x): return next((name for name in asked if name == "swordfish" and "{defined}" not in asked), "")
"""


def test_a_program_does_not_hear_which_of_its_names_are_in_the_tests_texts() -> None:
    tests = source('def test_it():\n    assert eval("f(1)") == "swordfish"\n')
    honest = 'def swordfish(): pass\ndef other(): pass\ndef f(x): return "swordfish"'
    assert judge(honest, tests).value == 1.0
    # It hears of all that it defines, or of nothing.
    assert judge(LISTENS.replace("{defined}", "other") + "def other(): pass\n", tests).value == 0.0
    assert judge(LISTENS.replace("def swordfish(): pass\n", "").replace("{defined}", "-"), tests).value == 0.0


def test_a_class_that_no_text_names_is_none_that_the_tests_name() -> None:
    lying = "class Lie:\n    __eq__ = lambda self, other: True\ndef f(x): return Lie()\n"
    tests = 'def test_it():\n    assert eval("f(1)") == f(2)\n'
    assert judge(lying, source(tests)).value == 0.0
    assert judge("def f(x): return {1: 2}", source(tests)).value == 1.0


def test_text_without_a_program_is_nobodys_zero() -> None:
    text = 'def test_it(): assert list(zip(globals()["known" + "_" + "elsewhere"], "a"))\n'
    assert judge("def f(x): return 1", source(text)).value is None
