"""The conversation of an exam: lines over a socket, requests and answers, requests inside requests.

A side asks and waits; while it waits, the other side may ask in turn (a callback, the next item of an
iterator). An answer is ["=", value] or ["!", exception, where]. The candidate's side may say anything at any
time: what is not an answer or an allowed request ends the exam, to the candidate's loss.

Threads take turns: a request and its answer are one turn. While a side answers, other threads of it may ask
in their turn; whoever was asked last answers first, as the other end waits for that.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from _thread import RLock
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from proctor.sandbox.exam.bounds import BOUNDS, FloodError, WireError
from proctor.sandbox.exam.decode import Decoder
from proctor.sandbox.exam.encode import Encoder

_CHUNK = 1 << 16
# Requests inside requests: what a recursive function of the tests needs that a program decorates.
_MAX_DEPTH = 500
# Of ours, on either side, for a request inside a request: the rest of the stack is for both programs.
_FRAMES = 30
_LONG = 1 << 16  # bytes of a message
_PAUSE_S = 0.001  # between looks whether another thread has answered

_Found = TypeVar("_Found")
Serve: TypeAlias = Callable[[list[Any]], bytes]  # a request to the line of its answer


class ExamOverError(BaseException):
    """The other end is gone, or does not keep to the protocol. Not an Exception: no test shall swallow it."""


@contextmanager
def _deeper_stack() -> Iterator[None]:
    """Room for our own frames, unless a program sets its limit meanwhile."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + _FRAMES)
    try:
        yield
    finally:
        if sys.getrecursionlimit() == before + _FRAMES:
            sys.setrecursionlimit(before)


class Lines:
    """Lines over a stream socket, of bounded length."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._sock: Any = sock
        self._ready: deque[bytes] = deque()
        self._parts: list[bytes] = []

    def send(self, line: bytes) -> None:
        """Raises ExamOverError where the other end is gone."""
        try:
            self._sock.sendall(line + b"\n")
        except OSError as error:
            raise ExamOverError("gone") from error

    def receive(self) -> bytes:
        """The next line. Raises ExamOverError at the end of the stream and on a line that is too long."""
        size = 0
        while not self._ready:
            try:
                chunk = self._sock.recv(_CHUNK)
            except OSError:
                chunk = b""
            size += len(chunk)
            if not chunk or size > BOUNDS.bytes:
                raise ExamOverError("flood" if chunk else "gone")
            self._take(chunk)
        return self._ready.popleft()

    def is_hung_up(self) -> bool:
        """Whether the other end is gone; what it has said may still be there to be read."""
        poll = select.poll()
        poll.register(self._sock, 0)
        return bool(poll.poll(0))

    def _take(self, chunk: bytes) -> None:
        first, *rest = chunk.split(b"\n")
        self._parts.append(first)
        for part in rest:
            self._ready.append(b"".join(self._parts))
            self._parts = [part]


class Conversation:
    """One side's view of the exam. `serve` answers what the other side asks meanwhile.

    Attributes:
        turn: held by the thread that asks, from before it encodes its request, or that waits to be asked.
        over: why the conversation ended early.
        note_long: called when a long message has come, before it is read.
        shared: lists the containers that a request of the other side may change.
        containers: lists those among values of a message that the other side lists in the same order.
    """

    def __init__(self, sock: socket.socket | None, encoder: Encoder, decoder: Decoder, serve: Serve) -> None:
        self.lines = Lines(sock)
        self.encoder = encoder
        self.decoder = decoder
        self.turn: Any = RLock()
        self.over: str = ""
        self.note_long: Callable[[], object] = lambda: None
        self.shared: Callable[[], Sequence[Any]] = tuple
        self.containers: Callable[[Sequence[Any]], Sequence[Any]] = tuple
        self._serve = serve
        self._depth = 0
        self._sent_ahead: deque[bytes] = deque()

    def connect(self, sock: socket.socket) -> None:
        """For a conversation that was prepared before there was somebody to talk to."""
        self.lines = Lines(sock)

    def ask(self, line: bytes, known: Callable[[], Sequence[Any]] = tuple) -> list[Any]:
        """Sends a request and waits for its answer, serving requests in between.

        Args:
            line: the request, encoded: its verb first.
            known: lists the containers among the arguments that the answer may change.

        Raises:
            ExamOverError: the other end is gone or does not keep to the protocol.
        """
        with self.turn:
            if self._sent_ahead:
                self._skip_to(line)
            if self.over:
                raise ExamOverError(self.over)
            try:  # as `_guard` does, in fewer frames: requests inside requests must fit on the stack
                if self._sent_ahead:
                    self._sent_ahead.popleft()
                else:
                    self.lines.send(line)
                return self._answer(known)
            except ExamOverError as error:
                self.over = str(error)
                raise
            except RecursionError as error:  # somewhere between request and answer
                self.over = "nested"
                raise ExamOverError(self.over) from error

    def send_ahead(self, lines: Sequence[bytes]) -> None:
        """Sends requests that are about to be asked in this order, so that the other end need not wait."""
        self._guard(lambda: self.lines.send(b"\n".join(lines)))
        self._sent_ahead.extend(lines)

    def _skip_to(self, line: bytes) -> None:
        """Drops answers to requests that were sent ahead and are not asked after all."""
        while self._sent_ahead and self._sent_ahead[0] != line:
            self._sent_ahead.popleft()
            self._guard(lambda: self._answer(tuple))

    def _answer(self, known: Callable[[], Sequence[Any]]) -> list[Any]:
        while True:
            message = self.read(known)
            verb = message[0]
            if verb == "=" or verb == "!":
                return message
            if self._depth >= _MAX_DEPTH:
                raise ExamOverError("nested")
            self._depth += 1
            try:
                with _deeper_stack():
                    self.lines.send(self._serve(message))
            finally:
                self._depth -= 1

    def read(self, known: Callable[[], Sequence[Any]] = tuple) -> list[Any]:
        """The next message. Raises ExamOverError where it is none."""
        try:
            line = self.lines.receive()
            if len(line) > _LONG:
                self.note_long()
            message = self.decoder.decode(line, known)
        except FloodError as error:
            raise ExamOverError(f"flood: {error}") from error
        except WireError as error:
            raise ExamOverError(f"garbled: {error}") from error
        if type(message) is not list or len(message) < 2 or type(message[0]) is not str:
            raise ExamOverError("garbled: not a message")
        return message

    def end(self, reason: str) -> None:
        """Nothing is asked any more."""
        self.over = self.over or reason

    def rest(self, act: Callable[..., _Found], *args: Any) -> _Found:
        """What `act` gives, on behalf of the other end: threads that it may wait for can ask meanwhile."""
        turn, depth = self.turn, self._depth
        state = turn._release_save()
        try:
            return act(*args)
        finally:
            turn._acquire_restore(state)
            while self._depth != depth:  # another thread was asked since, and has not answered
                state = turn._release_save()
                time.sleep(_PAUSE_S)
                turn._acquire_restore(state)

    def _guard(self, act: Callable[[], Any]) -> Any:
        """Remembers why an exam ended, so that a test that swallows the exception gains nothing."""
        if self.over:
            raise ExamOverError(self.over)
        try:
            return act()
        except ExamOverError as error:
            self.over = str(error)
            raise
