"""The host's end of a runner, over any two-way stream: many threads ask at once, nobody waits in vain.

There is no thread of our own: of the callers that wait, one reads for all. So a fork of the host inherits no
broken thread, and nothing keeps the host alive. A runner that dies while it holds requests is started anew
and asked once more; if that fails too, each of them gets an INTERNAL_ERROR, never another outcome.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from proctor.sandbox import wire
from proctor.sandbox.core import Exam, Execution, Outcome, PoolError, Program

_PIECE = 1 << 18
_ATTEMPTS = 2


class Link(Protocol):
    """A byte stream to a runner that is set up, and the runner's life."""

    def send(self, data: bytes) -> None: ...
    def receive(self, most: int) -> bytes: ...
    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Request:
    """One question under way."""

    header: dict[str, Any]
    block: bytes
    attempts: int = 0
    reply: tuple[dict[str, Any], bytes] | None = None
    lost: str = ""  # why the runner that had it is gone


class RunnerClient:
    """Speaks with one runner at a time; `connect` starts it, and starts the next where one is lost."""

    def __init__(self, connect: Callable[[], Link]) -> None:
        self._connect = connect
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._condition = threading.Condition()
        self._sending = threading.Lock()
        self._link: Link | None = None
        self._decoder = wire.Decoder()
        self._waiting: dict[int, Request] = {}
        self._next_id = 0
        self._is_read = False

    def run_many(self, programs: Iterable[Program]) -> list[Execution]:
        """Results in order. Raises PoolError where no runner can be started."""
        requests = [_request([program]) for program in programs]
        self.ask(requests)
        return [_executions(request, 1)[0] for request in requests]

    def exam_many(self, pairs: Iterable[tuple[Program, Program]]) -> list[Exam]:
        """Exams of (examiner, candidate), in order."""
        requests = [_request(pair) for pair in pairs]
        self.ask(requests)
        sides = [_executions(request, 2) for request in requests]
        return [Exam(examiner=examiner, candidate=candidate) for examiner, candidate in sides]

    def import_module(self, name: str) -> None:
        """Makes the functions of a module callable in a runner that is already there. Raises PoolError."""
        request = Request({"op": "import", "module": name}, b"")
        self.ask([request])
        if request.reply is None or "error" in request.reply[0]:
            reason = request.lost if request.reply is None else request.reply[0]["error"]
            raise PoolError(f"the sandbox cannot load {name}: {reason}")

    @property
    def is_connected(self) -> bool:
        return self._pid == os.getpid() and self._link is not None

    def ask(self, requests: Sequence[Request]) -> None:
        """Sends all and waits until each has its reply, or has lost its runner too often."""
        self._leave_parents_link()
        for request in requests:
            self._send(request)
        for request in requests:
            while not self._is_settled(request):
                self._send(request)

    def _send(self, request: Request) -> None:
        """Puts a request on the wire of the present runner; starts one where there is none."""
        with self._condition:
            if self._link is None:
                self._link = self._connect()
                self._decoder = wire.Decoder()
            link = self._link
            self._next_id += 1
            identity = self._next_id
            request.attempts += 1
            request.lost = ""
            self._waiting[identity] = request
        frame = wire.pack({**request.header, "id": identity}, request.block)
        try:
            with self._sending:
                link.send(frame)
        except OSError as error:
            with self._condition:
                self._lose(link, f"sending to the runner failed: {error}")

    def _is_settled(self, request: Request) -> bool:
        """Waits for one request. False: its runner is lost, and it may be sent again."""
        with self._condition:
            while request.reply is None and not request.lost:
                if self._is_read:
                    self._condition.wait()
                else:
                    self._read_for_all()
            return request.reply is not None or request.attempts >= _ATTEMPTS

    def _read_for_all(self) -> None:
        """Reads once, outside the lock, and hands the replies out."""
        link = self._link
        assert link is not None  # whoever is not settled still has one
        self._is_read = True
        self._condition.release()
        try:
            data = link.receive(_PIECE)
            reason = "the runner has ended"
        except OSError as error:
            data, reason = b"", f"reading from the runner failed: {error}"
        finally:
            self._condition.acquire()
            self._is_read = False
        if link is self._link:
            self._deliver(link, data, reason)
        self._condition.notify_all()

    def _deliver(self, link: Link, data: bytes, reason: str) -> None:
        try:
            for header, block in self._decoder.feed(data):
                request = self._waiting.pop(header["id"], None)
                if request is not None:
                    request.reply = (header, block)
        except (ValueError, KeyError) as error:
            data, reason = b"", f"the runner sends nonsense: {error}"
        if not data:
            self._lose(link, reason)

    def _lose(self, link: Link, reason: str) -> None:
        """Called with the lock held: gives up this runner and marks what it had."""
        if link is not self._link:
            return
        self._link = None
        link.close()
        for request in self._waiting.values():
            request.lost = reason
        self._waiting.clear()
        self._condition.notify_all()

    def _leave_parents_link(self) -> None:
        """In a fork of the host: the runner is the parent's, and so are the waiting requests."""
        if self._pid != os.getpid():
            self.after_fork()

    def after_fork(self) -> None:
        """Lets go of the parent's link without a word to its runner, and begins without one."""
        if self._link is not None:
            self._link.close()
        self._reset()

    def close(self) -> None:
        """Ends the runner, and with it all that it runs."""
        with self._condition:
            if self._link is not None:
                self._lose(self._link, "the sandbox was closed")


def exchange(link: Link, header: dict[str, Any], block: bytes = b"") -> tuple[dict[str, Any], bytes]:
    """One question and its answer on a link that nobody else uses yet. Raises PoolError."""
    try:
        link.send(wire.pack({**header, "id": 0}, block))
        decoder = wire.Decoder()
        while data := link.receive(_PIECE):
            for answer in decoder.feed(data):
                if "error" in answer[0]:
                    raise PoolError(answer[0]["error"])
                return answer
    except OSError as error:
        raise PoolError(f"the runner does not answer: {error}") from error
    raise PoolError("the runner ended before it was ready")


def run_on(link: Link, program: Program) -> Execution:
    """Runs one program on such a link."""
    request = _request([program])
    request.reply = exchange(link, request.header, request.block)
    return _executions(request, 1)[0]


@dataclass(slots=True)
class _Cursor:
    """Cuts one block into the pieces that lie in it one behind the other."""

    block: bytes
    position: int = 0
    sizes: list[int] = field(default_factory=list)

    def take(self, size: int) -> bytes:
        self.position += size
        return self.block[self.position - size : self.position]


def _request(programs: Sequence[Program]) -> Request:
    headers = [encode_program(program) for program in programs]
    return Request(
        {"op": "run", "programs": [header for header, _ in headers]}, b"".join(block for _, block in headers)
    )


def encode_program(program: Program) -> tuple[dict[str, Any], bytes]:
    """(header, block): what the runner and the jail read. Raises ValueError for a Program that says neither
    or both of argv and entry, or whose paths leave the work folder."""
    if bool(program.argv) == bool(program.entry):
        raise ValueError("a Program needs either argv or entry, and not both")
    for name in (*program.files, *program.collect):
        if name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"file {name!r} of a Program is not a path within the work folder")
    pieces = [program.payload] if program.entry else [*program.files.values(), program.stdin]
    block = b"".join(pieces)
    header = {
        "argv": program.argv,
        "entry": program.entry,
        "files": [(name, len(data)) for name, data in program.files.items()],
        "env": dict(program.env),
        "collect": program.collect,
        "keep": program.keep,
        "limits": dataclasses.asdict(program.limits),
        "size": len(block),
    }
    return header, block


def _executions(request: Request, count: int) -> list[Execution]:
    if request.reply is None:
        lost = Execution(
            outcome=Outcome.INTERNAL_ERROR, detail=f"{request.lost}; tried {request.attempts} times"
        )
        return [lost] * count
    header, block = request.reply
    if "error" in header:
        raise PoolError(header["error"])
    cursor = _Cursor(block)
    return [_execution(fields, cursor) for fields in header["executions"]]


def _execution(fields: dict[str, Any], cursor: _Cursor) -> Execution:
    sizes, names = fields.pop("sizes"), fields.pop("files")
    stdout, stderr, report, *contents = [cursor.take(size) for size in sizes]
    outcome = Outcome(fields.pop("outcome"))
    files = dict(zip(names, contents, strict=True))
    return Execution(outcome=outcome, stdout=stdout, stderr=stderr, report=report, files=files, **fields)
