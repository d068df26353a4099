"""Tests that unpickle what a program made: its data, and never its code."""

from __future__ import annotations

import pytest

from tests.judging import judge, source

ROUND_TRIP = "import pickle\ndef test_it():\n    data = {'a': [1, (2.5, None)], 'b': {3}}\n    assert pickle.loads(pack(data)) == data\n"
STATE = "from pickle import loads\nimport datetime\ndef test_it():\n    assert loads(pack([datetime.date(2020, 1, 2)]))[0].year == 2020\n"
HONEST = "import pickle\ndef pack(data): return pickle.dumps(data)\n"
# Bytes that, when they are loaded, call what they name.
CALLS = """
import pickle
class Told:
    def __reduce__(self): return ({call})
def pack(data): return pickle.dumps(Told())
"""


@pytest.mark.parametrize("tests", [ROUND_TRIP, STATE])
def test_data_is_loaded(tests: str) -> None:
    assert judge(HONEST, source(tests)).value == 1.0
    assert judge("def pack(data): return b'\\x80\\x04N.'", source(tests)).value == 0.0


@pytest.mark.parametrize(
    "call",
    [
        'eval, (\'__import__("sys")._getframe(1).f_locals["data"]\',)',
        "exec, ('raise SystemExit(0)',)",
        "__import__('os')._exit, (0,)",
        "__import__('os').kill, (__import__('os').getpid(), 9)",
        "getattr, (dict, 'fromkeys')",
        "__import__('operator').attrgetter, ('__class__',)",
    ],
)
@pytest.mark.parametrize(
    "load",
    [
        "pickle.loads(pack(1))",
        "pickle.load(io.BytesIO(pack(1)))",
        "pickle.Unpickler(io.BytesIO(pack(1))).load()",
    ],
)
def test_code_is_not_run(call: str, load: str) -> None:
    tests = f"import pickle, io\ndef test_it():\n    data = {{'a': 1}}\n    assert {load} == data\n"
    assert judge(CALLS.format(call=call), source(tests)).value == 0.0


def test_what_tests_pickled_themselves_is_theirs() -> None:
    tests = (
        "import pickle\nfrom fractions import Fraction\n"
        "def test_it():\n    assert pickle.loads(pickle.dumps(Fraction(f(3), 4))) == Fraction(3, 2)\n"
    )
    assert judge("def f(x): return 2 * x", source(tests)).value == 1.0
    assert judge("def f(x): return x", source(tests)).value == 0.0
