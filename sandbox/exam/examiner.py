"""The examiner's end of an exam: holds the tests, examines candidates one after the other, reports on each.

The report is JSON. `result` is "passed", "failed", "void" (nothing was checked), "bad_tests" (they fail whoever
the candidate is), "needs" (a library is missing) or "error" (a fault of ours); `tests` has one entry a test: true,
false, or null where it was not reached; `failure` says what went wrong first (`evidence.py`).
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from proctor.sandbox.channel import Channel
from proctor.sandbox.exam import patience
from proctor.sandbox.exam.awaiting import forget_all
from proctor.sandbox.exam.calls import CallPaper, read_calls
from proctor.sandbox.exam.decode import Decoder
from proctor.sandbox.exam.examinee import Examinee
from proctor.sandbox.exam.paper import BadTestsError, NeedsError, Paper, read_paper
from proctor.sandbox.exam.shelf import Shelf
from proctor.sandbox.exam.sitting import Sitting

_MAX_DETAIL = 1000
# One examiner serves tasks of all kinds, one after the other: reading a paper takes 0.6 ms in a process that has
# read others, and ten times that in one that was just forked.
_MAX_PAPERS, _MAX_BYTES = 1024, 64 << 20
# Reading a paper makes thousands of objects, none of them in a cycle: collecting as often as Python does by
# default was a quarter of it.
_GC_EVERY = 50_000
_LONG_S = 0.05  # of a sitting: it may have filled much memory
_builtins = dict(vars(builtins))
_recursion_limit = sys.getrecursionlimit()


def examine(payload: bytes, channel: Channel) -> None:
    """Entry of the examiner's jail. A sitting's payload is a paper's spec, encoded as messages are."""
    gc.set_threshold(_GC_EVERY)
    patience.watch()
    _drop_prints()
    for sitting in channel.sittings():
        began = time.process_time()
        report = json.dumps(report_on(sitting.payload, sitting.peer)).encode()
        if _has_left_traces(sitting.payload):
            channel.leave()
        channel.report(report)
        if time.process_time() - began > _LONG_S:
            gc.collect()  # what a candidate left in the tests' names must not be there beside the next one's


def _drop_prints() -> None:
    """Nobody reads what tests print, and a long answer that they print must not end them."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def report_on(payload: bytes, peer: socket.socket) -> dict[str, Any]:
    """One candidate's exam. Papers are kept for later candidates; what tests did to the interpreter is not."""
    _tidy()
    try:
        spec, paper = _papers[payload]
        return Sitting(paper, Examinee(peer, paper.namespace()), bool(spec.get("keep_going"))).hold()
    except NeedsError as error:
        return {"result": "needs", "detail": str(error)}
    except BadTestsError as error:
        return {"result": "bad_tests", "detail": str(error)[:_MAX_DETAIL]}
    except Exception as error:  # the border: a fault of ours is told as one, and blamed on nobody else
        return {"result": "error", "detail": f"{type(error).__name__}: {error}"[:_MAX_DETAIL]}
    finally:
        patience.forget()


def read(spec: Mapping[str, Any]) -> Paper | CallPaper:
    """The paper of a spec, of either kind. Raises BadTestsError."""
    return read_paper(spec) if "source" in spec or "asserts" in spec else read_calls(spec)


def _read(payload: bytes) -> tuple[Mapping[str, Any], Paper | CallPaper]:
    spec = Decoder().decode(payload)
    return spec, read(spec)


def _has_left_traces(payload: bytes) -> bool:
    """Whether a paper may have changed more than `_tidy` puts back; one that could not be read, too."""
    return payload not in _papers or _papers[payload][1].leaves_traces


def _tidy() -> None:
    """Takes back what a test source may have changed for everybody."""
    present = vars(builtins)
    if present != _builtins:
        present.clear()  # from here to the next line not even `vars` has a name
        present.update(_builtins)
    forget_all()
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    sys.setrecursionlimit(_recursion_limit)


_papers = Shelf(_read, _MAX_PAPERS, _MAX_BYTES)
