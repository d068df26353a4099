"""What a candidate has the tests' process do: it does not wait for ever, and the zero is the candidate's."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from proctor.sandbox.core import Exam, Execution, Outcome
from proctor.sandbox.exam import patience
from proctor.verifiers.core import Rollout, Status
from proctor.verifiers.programs.part import Code
from proctor.verifiers.programs.statuses import of_report, read_report
from tests.judging import judge, source

# An examiner with little patience before a candidate that says `said`, in a process of its own: it takes signals.
SCRIPT = """
import json, socket, sys, threading, time
from proctor.sandbox.exam import patience
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.examiner import report_on
patience._MOST_S = 0.3
patience.watch()
for said in ({said}, b'["=",4]'):
    ours, theirs = socket.socketpair()
    names = b'["=",{{"d":["f",["function"],"",[]]}}]\\n'
    threading.Thread(target=theirs.sendall, args=(names + said + b"\\n",), daemon=True).start()
    print(json.dumps(report_on(Encoder().encode({{"source": {tests!r}, "entry_point": "f"}}), ours)))
began = time.process_time()
while time.process_time() < began + 0.5: pass  # whoever comes next has the time that it needs
"""
SLOW = {
    "a search that does not end": (
        "import itertools\ndef check(candidate):\n    assert candidate(itertools.count(5)) == 4\n",
        """b'["op","contains",{"y":0},-1]'""",
    ),
    "a callback on a large number": (
        "def check(candidate):\n    assert candidate(lambda n: n ** 60) == 4\n",
        """b'["call",{"y":0},[{"i":"%b"}],[]]' % hex(1 << 4_000_000).encode()""",
    ),
    "a long answer": (
        "import re\ndef check(candidate):\n    got = candidate(1)\n"
        "    if got != 4: re.search('must be .* positive', got)\n    assert got == 4\n",
        """b'["=","' + b"must be " * 100_000 + b'"]'""",
    ),
    "a long answer, and tests that catch everything": (
        "import re\ndef check(candidate):\n    got = candidate(1)\n    try:\n"
        "        if got != 4: re.search('must be .* positive', got)\n    except BaseException: pass\n"
        "    assert True\n",
        """b'["=","' + b"must be " * 100_000 + b'"]'""",
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_patience_ends_and_the_next_candidate_has_it_anew(name: str) -> None:
    tests, said = SLOW[name]
    script = SCRIPT.format(said=said, tests=tests)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert '"failed"' in first and '"slow"' in first
    assert '"passed"' in second


@pytest.mark.slow  # 6 s, in which nobody computes
def test_a_program_that_has_the_tests_wait_is_out_of_time() -> None:
    tests = source(
        "import queue\ndef test_it():\n    q = queue.Queue()\n    q.put(1)\n    drain(q)\n    assert q.empty()\n"
    )
    part, began = Code(extraction="raw", timeout=0.2), time.monotonic()
    codes = ("def drain(q):\n    while True: q.get()", "def drain(q):\n    while not q.empty(): q.get()")
    wrong, right = part.verify([Rollout(code, "", tests=tests, fields={}) for code in codes])
    assert (wrong.value, wrong.status) == (0.0, Status.TIME_LIMIT), wrong
    assert time.monotonic() - began < 15
    assert right.value == 1.0, right


DESERTED = r"""
import json, socket, threading
from proctor.sandbox.exam import patience
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.examiner import report_on
patience.watch()
tests = "import queue\ndef check(candidate):\n    assert candidate(lambda: queue.Queue().get()) == 4\n"
names = b'["=",{"d":["f",["function"],"",[]]}]\n'
for said in (b'["call",{"y":0},[],[]]\n', b'["=",4]\n'):
    ours, theirs = socket.socketpair()
    theirs.sendall(names + said)
    if b"call" in said: threading.Timer(0.3, theirs.shutdown, [socket.SHUT_RDWR]).start()
    print(json.dumps(report_on(Encoder().encode({"source": tests, "entry_point": "f"}), ours)))
"""


def test_tests_that_wait_for_nobody_do_not_wait_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DESERTED], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert '"gone"' in first and '"passed"' in second


LONG_TEXT = source(
    "import pytest\ndef test_it():\n    with pytest.raises(ValueError, match='must be .* positive'):\n        f(-1)\n"
)


ENDED = {
    "one call into C": (Execution(outcome=Outcome.CPU_LIMIT, signal=9), Status.TIME_LIMIT),
    "memory": (Execution(outcome=Outcome.MEMORY_LIMIT, signal=9), Status.OUTPUT_LIMIT),
    "the stack": (Execution(outcome=Outcome.RUNTIME_ERROR, signal=11), Status.INCORRECT),
    "an exit of the tests' own": (Execution(outcome=Outcome.OK, exit_code=0), Status.GRADER_ERROR),
    "a kill from outside": (Execution(outcome=Outcome.RUNTIME_ERROR, signal=9), Status.GRADER_ERROR),
}


@pytest.mark.parametrize("name", ENDED)
def test_what_ends_the_tests_behind_an_answer_is_the_answer(name: str) -> None:
    ended, status = ENDED[name]
    waiting = Execution(outcome=Outcome.OK)
    answered = Exam(examiner=replace(ended, stderr=patience.ANSWERED), candidate=waiting)
    assert of_report(read_report(answered), waiting) is status
    unanswered = Exam(examiner=ended, candidate=waiting)
    assert of_report(read_report(unanswered), waiting) is Status.GRADER_ERROR


HEAVY = {
    "memory": "[bytearray(1 << 20) for _ in range(got)]",
    "standard output": "print('x' * got * 100)",
    "the stack": "import sys; sys.setrecursionlimit(10**9); assert deep == deep[0]",
}


@pytest.mark.parametrize("name", HEAVY)
def test_an_answer_is_no_way_to_end_the_tests_without_a_verdict(name: str) -> None:
    tests = source(
        f"def check(candidate):\n    got, deep = candidate(1)\n    {HEAVY[name]}\n    assert got == 3\n"
    )
    huge = "def f(x):\n    deep = []\n    for _ in range(300_000): deep = [deep]\n    return 10**5, deep"
    assert judge(huge, tests, entry="f").value == 0.0


def test_a_long_text_of_an_exception_is_cut() -> None:
    verdict = judge("def f(x): raise ValueError('must be ' * 3_000_000)", LONG_TEXT)
    assert verdict.value == 0.0, verdict
    assert "does not match" in verdict.evidence["failure"]["error"]
    assert judge("def f(x): raise ValueError('must be ' * 500 + 'really positive')", LONG_TEXT).value == 1.0


def test_the_value_of_a_generator_is_no_text_of_an_exception() -> None:
    tests = source(
        "def test_it():\n    steps = f(20_000)\n    next(steps)\n    try:\n        next(steps)\n"
        "    except StopIteration as end:\n        assert end.value == 'x' * 20_000\n    else:\n        assert False\n"
    )
    assert judge("def f(n):\n    yield 1\n    return 'x' * n", tests).value == 1.0
