"""An examiner before candidates that say anything at all: it ends, reports a failure, and gives nothing away."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.sandbox.exam.bounds import BOUNDS
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.examiner import report_on

SECRET = 987654321
# Every way in which tests can touch what a candidate sends; each expects what no line below contains.
TESTS = f"""
class Tally:
    secret = {SECRET}
    def __init__(self): self.seen = []; self._hidden = {SECRET}
    def add(self, x): self.seen.append(x); return len(self.seen)

SECRETS = [{SECRET}]

def check(candidate):
    tally = Tally()
    def ask(x, memory=SECRETS): return x
    for argument in ([1, [2]], tally, ask, iter([1, 2]), {{1: 2}}):
        try:
            got = candidate(argument)
            str(got); list(got); got.value; got(1); got[0]; len(got); got + 1; -got; got < 3; hash(got); next(got)
        except Exception:
            pass
    assert candidate([1]) == SECRETS[0]
"""
SPEC = Encoder().encode({"source": TESTS, "entry_point": "f"})
CALLS = Encoder().encode(
    {"calls": [{"args": [[n]], "expected": SECRET} for n in range(3)], "entry_point": "f"}
)

READY = b'["=",{"d":["f",["function"],"",[]]}]'
LINES = [
    READY,
    b'["=",{"d":["f",["value",5],"",[]]}]',
    b'["=",{"d":["f",["enum",[["A",1]],"int"],"",["Tally","Exception"]]}]',
    b'["=",{"d":["f",["error",["E","ValueError"]],"",[]]}]',
    b'["=",{"d":["f",["value",{"h":[0,"class",0,["f","Tally"],["__eq__","x"]]}],"",["Tally"]]}]',
    b'["=",{"d":["f",["what"]]}]',
    b'["=",4]',
    b'["=",null]',
    b'["=",{"h":[0,"object",0,["Tally"],["value","x"]]}]',
    b'["=",{"h":[1,"iterator",0]}]',
    b'["=",{"h":[0]}]',
    b'["=",{"h":[1,"awaitable",9]}]',
    b'["=",{"h":[-1]}]',
    b'["=",{"y":0}]',
    b'["=",{"y":7}]',
    b'["=",{"o":["Tally",["seen","secret"],[[],1]]}]',
    b'["=",{"E":[["ValueError"],["x"],[],[]]}]',
    b'["!",{"E":[["StopIteration"],[],[],[]]},[]]',
    b'["!",{"E":[["GeneratorExit"],[],[],[]]},[[1,"f"]]]',
    b'["!",{"E":[["SystemExit"],[0],[],[]]},null]',
    b'["!",{"E":[["KeyboardInterrupt"],[],[],[]]}]',
    b'["!",{"E":[["AssertionError"],[],["__cause__"],[1]]},[]]',
    b'["!",5,[]]',
    b'["!",{"E":[["AttributeError"],["x"],[],[]]},5]',
    b'["call",{"y":0},[1],[]]',
    b'["call",{"y":0},[[1]],["memory",2]]',
    b'["call",{"ty":"type"},["X",{"t":[]},{"d":[]}],[]]',
    b'["call","eval",["1"],[]]',
    b'["get",{"y":0},"__globals__"]',
    b'["get",{"y":0},"seen"]',
    b'["get",{"y":0},"add"]',
    b'["set",{"y":0},"seen",5]',
    b'["op","repr",{"y":0}]',
    b'["op","eq",{"y":0},1]',
    b'["op","next",{"y":0}]',
    b'["op","await",{"y":0}]',
    b'["op","isinstance",{"ty":"int"},{"ty":"type"}]',
    b'["about",{"y":0}]',
    b'["await",{"y":0}]',
    b'["await",5]',
    b'["say",[1],["file",{"y":0}]]',
    b'["write","stdout","x"]',
    b'["names",["f"],[]]',
    b'{"g":[[[1,{"#":0}]],[[5],[6],[7]],{"#":0}]}',
    b'{"g":[[["=",{"@":1}]],[[],[9],[8]],{"#":0}]}',
    b'{"g":[[["=",5]],[{"d":[]},{"d":[]},{"d":[]}],{"#":0}]}',
    b"[]",
    b"5",
    b'["="]',
    b'[["="],1]',
    b"\xff",
    b"",
    b'["=",' + b"[" * 5000,
    b'["=",{"s":[' + b",".join(b"%d" % ((2**61 - 1) * n) for n in range(1, 3000)) + b"]}]",
]


def examine(spec: bytes, said: bytes) -> tuple[dict[str, object], bytes]:
    """The report on a candidate that says all of `said` whatever it is asked; and all that it was told."""
    ours, theirs = socket.socketpair()
    told: list[bytes] = []

    def speak() -> None:
        with contextlib.suppress(OSError):
            theirs.sendall(said)
            theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while chunk := theirs.recv(1 << 16):
                told.append(chunk)

    speaker = threading.Thread(target=speak)
    with theirs:
        with ours:
            speaker.start()
            report = report_on(spec, ours)
        speaker.join(10)
    return report, b"".join(told)


places = st.integers(0, len(LINES) - 1)


@settings(max_examples=120, deadline=None)
@given(st.lists(places, max_size=25), st.sampled_from([SPEC, CALLS]))
def test_whatever_is_said_the_exam_is_failed_and_the_tests_stay_hidden(
    chosen: list[int], spec: bytes
) -> None:
    report, told = examine(spec, READY + b"\n" + b"\n".join(LINES[place] for place in chosen) + b"\n")
    assert report["result"] == "failed", report
    assert json.dumps(report)
    assert str(SECRET).encode() not in told


@settings(max_examples=60, deadline=None)
@given(st.lists(places, max_size=3), st.binary(max_size=60))
def test_nonsense_instead_of_the_names_is_the_candidates_fault(chosen: list[int], junk: bytes) -> None:
    report, _ = examine(SPEC, b"\n".join(LINES[place] for place in chosen) + junk)
    assert report["result"] == "failed", report


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:40].decode("latin-1"))
def test_each_line_alone(line: bytes) -> None:
    start = time.process_time()
    for spec in (SPEC, CALLS):
        report, told = examine(spec, READY + b"\n" + (line + b"\n") * (30 if len(line) < 1000 else 1))
        assert report["result"] == "failed"
        assert str(SECRET).encode() not in told
    assert time.process_time() - start < 3


def test_a_line_without_end_is_cut() -> None:
    report, _ = examine(SPEC, b"[" * (BOUNDS.bytes + (1 << 20)))
    assert report["failure"]["kind"] == "flood"  # type: ignore[index]


def test_what_tests_do_to_builtins_is_taken_back() -> None:
    """In a process of its own, which a mistake would leave without built-in names."""
    script = """
import builtins
from proctor.sandbox.exam import examiner
builtins.spam, builtins.len = 1, None
examiner._tidy()
print(hasattr(builtins, "spam"), len("four"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "False 4\n", done.stderr
