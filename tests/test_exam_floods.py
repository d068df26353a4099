"""Programs that answer for more than they may say: the examiner stays alive, and the zero is theirs."""

from __future__ import annotations

import pytest

from proctor.verifiers.core import Status
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


def test_a_program_may_print_a_lot() -> None:
    tests = source(LISTENS.replace('"4"', "('x' * 10 + chr(10)) * 1000"))
    assert judge("def f(x):\n    for _ in range(1000): print('x' * 10)", tests).value == 1.0
