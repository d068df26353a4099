"""Programs that say more than they may, or take the tests' time: the examiner stays alive, and the zero is theirs."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs.part import Code
from tests.judging import judge, source

# Answers every request on its own, in place of the candidate's end of the exam.
FORGE = """
import os, socket
lines = socket.socket(fileno=os.dup(4)).makefile("rwb", buffering=0)
{}
"""
CLASSES = r"""
for line in lines:
    names = b'["=",{"d":["f",["function"],"",[]]}]'
    told = b','.join(b'{"h":[%d,"object",%d,["K%d"],[]]}' % (i, i, i) for i in range(501))
    lines.write((names if b'"names"' in line else b'["=",[' + told + b']]') + b"\n")
"""
FIELDS = r"""
for line in lines:
    answer = b'["=",{"h":[1,"object",0]}]'
    if b'"names"' in line:
        answer = b'["=",{"d":["P",["value",{"h":[0,"class",0,["P"],["__dataclass_fields__"]]}],"",[]]}]'
    elif b'"fields"' in line:
        answer = b'["=",[' + b",".join(b'"a%d"' % i for i in range(10**6)) + b"]]"
    lines.write(answer + b"\n")
"""
WIDE = r"""
text = b"a" * (31 << 20) + "\U0001F600".encode()
def f(x):
    for _ in range(16): lines.write(b'["write","stdout","' + text + b'"]\n')
"""
LISTENS = """
import contextlib, io
def test_it():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        f(2)
    assert out.getvalue() == "4"
"""
FLOODS = {
    "classes": (
        FORGE.format(CLASSES),
        "def check(candidate):\n    assert candidate(2) == 4\n",
        "f",
        Status.RUNTIME_ERROR,
    ),
    "fields of a dataclass": (
        FORGE.format(FIELDS),
        "import dataclasses\ndef test_it():\n    assert dataclasses.asdict(P(2)) == {'x': 4}\n",
        "",
        Status.INCORRECT,
    ),
    "wide text where tests listen": (FORGE.format(WIDE), LISTENS, "", Status.OUTPUT_LIMIT),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_a_zero(name: str) -> None:
    code, tests, entry, status = FLOODS[name]
    verdict = judge(code, source(tests), entry=entry)
    assert (verdict.value, verdict.status) == (0.0, status), verdict


VIEWED = """
def test_it():
    data = bytearray(b"abc")
    view = memoryview(data)
    reverse(data)
    assert bytes(view) == b"cba"
"""


def test_a_buffer_in_use_may_change_and_not_grow() -> None:
    assert judge("def reverse(b): b[:] = b[::-1]", source(VIEWED)).value == 1.0
    for code in ("def reverse(b): b[0] = 120", "def reverse(b): b.extend(b'x' * 100)"):
        assert judge(code, source(VIEWED)).value == 0.0


def test_a_response_of_too_many_commas_is_a_zero_beside_others() -> None:
    prompt = "def f(x):\n    "
    tests = {"source": "def check(candidate):\n    assert candidate(2) == 4\n", "entry_point": "f"}
    texts = ("    return 2 * x\n", "return [" + "," * 1_100_000, "    return 2 * x\n")
    verdicts = Code().verify([Rollout(text, prompt, tests=tests, fields={}) for text in texts])
    assert [verdict.value for verdict in verdicts] == [1.0, 0.0, 1.0]
    assert verdicts[1].status is Status.COMPILE_ERROR


def test_a_program_may_print_a_lot() -> None:
    tests = source(LISTENS.replace('"4"', "('x' * 10 + chr(10)) * 1000"))
    assert judge("def f(x):\n    for _ in range(1000): print('x' * 10)", tests).value == 1.0


LISTS = """
import unittest
class T(unittest.TestCase):
    def test_it(self):
        self.assert{}Equal(f(2), {})
"""
LINES = "['line %d of many words in a row' % (n * 7) for n in range(3000)]"
LONG_ANSWERS = {
    "a long list": (LISTS.format("", LINES), LINES.replace("7", "3")),
    "a long text": (LISTS.format("", f"' '.join({LINES})[:60000]"), f"' '.join({LINES})[7:60000]"),
    "many members without a hash": (LISTS.format("Count", "[[1], [2]]"), "[[n] for n in range(100_000)]"),
}


@pytest.mark.parametrize("name", LONG_ANSWERS)
def test_a_long_wrong_answer_is_not_compared_letter_by_letter(name: str) -> None:
    tests, answer = LONG_ANSWERS[name]
    verdict = judge(f"def f(x): return {answer}", source(tests))
    assert (verdict.value, verdict.status) == (0.0, Status.INCORRECT), verdict
    assert "AssertionError" in verdict.evidence["failure"]["error"]


def test_long_right_answers_are_equal() -> None:
    assert judge(f"def f(x): return {LINES}", source(LISTS.format("", LINES))).value == 1.0
    assert judge("def f(x): return [[2], [1]]", source(LISTS.format("Count", "[[1], [2]]"))).value == 1.0


PATIENCE = """
import asyncio, pytest
def test_it():
    left = []
    async def slow():
        try:
            await asyncio.sleep(1000)
        finally:
            left.append(1)
    async def quick():
        await asyncio.sleep(0.1)
        return 3
    async def main():
        with pytest.raises(asyncio.TimeoutError):
            await f(slow(), 0.2)
        assert left == [1]
        assert await f(quick(), 1) == 3
    asyncio.run(main())
"""


def test_a_program_may_lose_patience_with_what_it_awaits_of_the_tests() -> None:
    code = "import asyncio\nasync def f(awaitable, most): return await asyncio.wait_for(awaitable, most)"
    assert judge(code, source(PATIENCE)).value == 1.0


def test_a_program_that_awaits_what_does_not_end_is_ended() -> None:
    verdict = judge("async def f(awaitable, most): return await awaitable", source(PATIENCE))
    assert (verdict.value, verdict.status) == (0.0, Status.TIME_LIMIT), verdict


def test_what_one_program_leaves_in_the_tests_names_is_not_there_beside_the_next_one() -> None:
    """Two of these do not fit into one examiner's memory; the second would fail for the first one's sake."""
    tests = source(
        "kept = []\ndef test_it():\n    kept.append(list(f(2)))\n    kept.append(list(f(2)))\n"
        "    assert len(kept[0]) == len(kept[1]) == 15 * 10**6\n"
    )
    part = Code(extraction="raw", timeout=3.0)
    for _ in range(2):
        rollout = Rollout("def f(x): return range(10, 10 + 15 * 10**6)", "", tests=tests, fields={})
        assert part.verify([rollout])[0].value == 1.0
