"""The worker: a forked process that calls one function after another until its connection ends.

It bounds its memory, its stack and its reach; the caller kills it when its time is up. What it prints goes
nowhere.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from proctor.sandbox.worker_walls import Walls
from proctor.sandbox.worker_wire import MAX_REQUEST_BYTES, FrameReader, ReplyKind, encode_reply

_MAX_DETAIL = 2000
_MAX_STACK = 64 << 20  # with `ulimit -s unlimited` endless recursion in C would look like a lack of memory
_DEFAULT_DIGITS = 4300  # what the caller's int() reads; some libraries lift the limit here
_OUT_OF_MEMORY = encode_reply(ReplyKind.MEMORY, "MemoryError", 0.0, worn=True)


def serve(connection: socket.socket, memory_mb: int, walls: Walls) -> NoReturn:
    """Answers requests `[function, args]` in order, with one reply each, until the connection ends.

    Raises OSError or ValueError where the limits cannot be set: no task is run without them.
    """
    _bound(memory_mb)
    worn_at_kb = _peak_kb() + memory_mb * 1024 // 4
    walls.enter()
    os.dup2(0, 2)  # to /dev/null; up to here stderr is where the caller looks when workers do not start
    connection.sendall(encode_reply(ReplyKind.READY, None, 0.0, worn=False))
    reader = FrameReader(MAX_REQUEST_BYTES)
    try:
        while data := connection.recv(1 << 18):
            for request in reader.feed(data):
                _answer(connection, request, worn_at_kb)
    except MemoryError:  # over the request itself
        connection.sendall(_OUT_OF_MEMORY)
    except OSError:
        pass  # the caller hung up
    os._exit(0)  # without the exit handlers of the fork server


def _bound(memory_mb: int) -> None:
    """Limits on this process. Memory is what tasks may map beyond the warmed interpreter."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + (memory_mb << 20))
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 1)  # 0 would still let the kernel pipe a dump to a handler of the machine's
    _limit(resource.RLIMIT_STACK, _MAX_STACK)
    # When the machine runs out of memory, a worker goes before the trainer does.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _limit(kind: int, most: int) -> None:
    """Lowers a limit, soft and hard, to `most`; one that is lower already stays."""
    limits = [most, *(limit for limit in resource.getrlimit(kind) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(kind, (min(limits), min(limits)))


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _answer(connection: socket.socket, request: bytes, worn_at_kb: int) -> None:
    try:
        frame = _call(request, worn_at_kb)
    except MemoryError:
        frame = _OUT_OF_MEMORY  # built before: there may be no room to build anything
    connection.sendall(frame)


def _call(request: bytes, worn_at_kb: int) -> bytes:
    name, args = json.loads(request)
    start = time.perf_counter()
    try:
        value = _resolve(name)(*args)
        seconds = time.perf_counter() - start
        _reset_digits()
        return encode_reply(ReplyKind.VALUE, value, seconds, worn=_peak_kb() > worn_at_kb)
    except BaseException as error:  # the task's border: SystemExit too is its own doing
        kind = ReplyKind.MEMORY if _is_memory(error) else ReplyKind.ERROR
        text = _describe(error)
    return encode_reply(kind, text, time.perf_counter() - start, worn=kind is ReplyKind.MEMORY)


def _reset_digits() -> None:
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(_DEFAULT_DIGITS)


def _describe(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:_MAX_DETAIL]
    except Exception:  # its own __str__ failed, which is no second failure
        return type(error).__name__[:_MAX_DETAIL]


def _is_memory(error: BaseException | None) -> bool:
    """Whether a MemoryError is the cause, also under an exception that a library raised while handling it."""
    for _ in range(10):
        if error is None or isinstance(error, MemoryError):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, MemoryError)


@functools.cache
def _resolve(name: str) -> Callable[..., Any]:
    module, _, attributes = name.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found  # type: ignore[no-any-return]
