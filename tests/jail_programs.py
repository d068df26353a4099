"""Functions that the jail's tests call inside: `entry` of their Programs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from proctor.sandbox.channel import Channel


def echo(payload: bytes, channel: Channel) -> None:
    """Reports its payload, and prints a line on both streams."""
    print("to stdout")
    print("to stderr", file=sys.stderr)
    channel.report(payload)


def execute(payload: bytes, channel: Channel) -> None:
    """Runs Python source in this process, as a judge's candidate side would."""
    exec(compile(payload, "<candidate>", "exec"), {"__name__": "__main__", "channel": channel})


def raise_memory_error(payload: bytes, channel: Channel) -> None:
    raise MemoryError


def examine(payload: bytes, channel: Channel) -> None:
    """Asks the candidate for a sum, once per sitting, and reports whether it came; names its own process."""
    for count, sitting in enumerate(channel.sittings(), start=1):
        answer = b""
        with suppress(OSError):  # the candidate is gone
            sitting.peer.sendall(b"2 3")
            answer = sitting.peer.recv(100)
        verdict = b"right" if answer == b"5" else b"wrong"
        channel.report(b"%s payload=%s sitting=%d" % (verdict, sitting.payload, count))


def examine_once(payload: bytes, channel: Channel) -> None:
    """Serves one sitting and leaves, though it may be kept."""
    sitting = next(channel.sittings())
    sitting.peer.sendall(b"2 3")
    channel.report(b"got " + sitting.peer.recv(100))


def examine_and_die(payload: bytes, channel: Channel) -> None:
    next(channel.sittings())
    os._exit(3)


def add(payload: bytes, channel: Channel) -> None:
    """The honest candidate; the payload is source to run first."""
    execute(payload, channel)
    question = channel.peer.recv(100).split()
    channel.peer.sendall(str(sum(int(part) for part in question)).encode())


def wait_for_end(payload: bytes, channel: Channel) -> None:
    channel.peer.recv(100)
    time.sleep(60)


@contextmanager
def timed(most_s: float) -> Iterator[None]:
    """Fails where its body takes longer: a run must not wait for what it has ended."""
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert took < most_s, f"took {took:.1f} s, allowed are {most_s} s"
