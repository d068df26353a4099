"""The host's end of runners, over any two-way stream: many threads ask at once, nobody waits in vain.

There is no thread of our own: of the callers that wait, one reads for all. So a fork of the host inherits no
broken thread, and nothing keeps the host alive. A runner that dies while it holds requests is started anew
and asked once more; if that fails too, each of them gets an INTERNAL_ERROR, never another outcome.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from proctor.sandbox import wire
from proctor.sandbox.core import Exam, Execution, PoolError, Program
from proctor.sandbox.encoding import Request, executions_of, request_run

_PIECE = 1 << 18
_ATTEMPTS = 2
# Requests of one caller that are under way, for each runner: more would only pile up in the runner's memory.
_WINDOW = 512
_TOGETHER = 16  # are made ready before they are sent: each piece that comes wakes the runner


class Link(Protocol):
    """A byte stream to a runner that is set up, and the runner's life."""

    def send(self, data: bytes) -> None: ...
    def receive(self, most: int) -> bytes: ...
    def close(self) -> None: ...


class RunnerClient:
    """Speaks with one runner at a time; `connect` starts it, and starts the next where one is lost."""

    def __init__(self, connect: Callable[[], Link]) -> None:
        self._connect = connect
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._condition = threading.Condition()  # of an RLock: who holds it may take it again
        self._sending = threading.Lock()
        self._link: Link | None = None
        self._decoder = wire.Decoder()
        self._waiting: dict[int, Request] = {}
        self._next_id = 0
        self._is_read = False

    def run_many(self, programs: Iterable[Program]) -> list[Execution]:
        """Results in order. Raises PoolError where no runner can be started."""
        return list(run_many((self, program) for program in programs))

    def exam_many(self, pairs: Iterable[tuple[Program, Program]]) -> list[Exam]:
        """Exams of (examiner, candidate), in order."""
        return list(exam_many((self, pair) for pair in pairs))

    def import_modules(self, names: Sequence[str]) -> None:
        """Makes the functions of modules callable in a runner that is already there. Raises PoolError."""
        request = Request({"op": "import", "modules": names})
        self.begin([request])
        self.finish(request)
        if request.reply is None or "error" in request.reply[0]:
            reason = request.lost if request.reply is None else request.reply[0]["error"]
            raise PoolError(f"the sandbox cannot load {', '.join(names)}: {reason}")

    def connected(self) -> Link:
        """The link to the present runner, which is started if there is none. Raises PoolError."""
        if self._pid != os.getpid():
            self.after_fork()
        with self._condition:
            if self._link is None:
                self._link = self._connect()
                self._decoder = wire.Decoder()
            return self._link

    @property
    def is_connected(self) -> bool:
        return self._pid == os.getpid() and self._link is not None

    def begin(self, requests: Sequence[Request]) -> None:
        """Puts requests on the wire of the present runner, in one piece; starts one where there is none."""
        self.connected()  # in a fork of the host: before the parent's lock is touched
        with self._condition:
            link = self.connected()
            numbered = [(self._register(request), request) for request in requests]
        frame = b"".join(
            wire.pack({**request.header, "id": identity}, request.block) for identity, request in numbered
        )
        try:
            with self._sending:
                link.send(frame)
        except OSError as error:
            self._give_up(link, f"sending to the runner failed: {error}")
        except BaseException:  # an interrupt: half a frame may be on the wire
            self._give_up(link, "sending to the runner was interrupted")
            raise

    def _register(self, request: Request) -> int:
        """Called with the lock held."""
        self._next_id += 1
        request.attempts += 1
        request.lost = ""
        self._waiting[self._next_id] = request
        return self._next_id

    def finish(self, request: Request) -> None:
        """Waits until a request has its reply, or has lost its runner too often."""
        self._wait_for(request)
        while request.reply is None and request.attempts < _ATTEMPTS:
            self.begin([request])
            self._wait_for(request)

    def _wait_for(self, request: Request) -> None:
        with self._condition:
            while request.is_open:
                if self._is_read:
                    self._condition.wait()
                else:
                    self._read_for_all()

    def _read_for_all(self) -> None:
        """Called with the lock held: reads once, without it, and hands the replies out."""
        link = self._link
        assert link is not None  # whoever waits has one
        self._is_read = True
        self._condition.release()
        data, reason = b"", "reading from the runner was interrupted"
        try:
            data = link.receive(_PIECE)
            reason = "the runner has ended"
        except OSError as error:
            reason = f"reading from the runner failed: {error}"
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

    def _give_up(self, link: Link, reason: str) -> None:
        with self._condition:
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

    def after_fork(self) -> None:
        """In a fork of the host: the runner is the parent's, and so are the waiting requests."""
        if self._link is not None:
            self._link.close()
        self._reset()

    def close(self) -> None:
        """Ends the runner and all that it runs. Whoever waits is told that its program was not judged."""
        with self._condition:
            for request in self._waiting.values():
                request.attempts = _ATTEMPTS
            if self._link is not None:
                self._lose(self._link, "the sandbox was closed")


def run_many(asked: Iterable[tuple[RunnerClient, Program]]) -> Iterator[Execution]:
    """Results in order, each from the runner it was asked of. Raises PoolError where one cannot be started."""
    for request in _settle((client, request_run([program])) for client, program in asked):
        yield executions_of(request, 1)[0]


def exam_many(asked: Iterable[tuple[RunnerClient, tuple[Program, Program]]]) -> Iterator[Exam]:
    """Exams of (examiner, candidate), in order."""
    for request in _settle((client, request_run(pair)) for client, pair in asked):
        examiner, candidate = executions_of(request, 2)
        yield Exam(examiner=examiner, candidate=candidate)


def _settle(asked: Iterable[tuple[RunnerClient, Request]]) -> Iterator[Request]:
    """Each when it is settled, in order. Those behind it are under way by then, but not all at once.

    What makes a request ready, and what is made of its reply, is done while runners are at work.
    """
    under_way: deque[tuple[RunnerClient, Request]] = deque()
    clients: dict[RunnerClient, list[Request]] = {}
    asked = iter(asked)
    while chunk := list(islice(asked, _TOGETHER)):
        for client, request in chunk:
            clients.setdefault(client, []).append(request)
        for client, requests in clients.items():
            if requests:
                client.begin(requests)
                requests.clear()
        under_way += chunk
        while len(under_way) > _WINDOW * len(clients):
            yield _finish(*under_way.popleft())
    while under_way:
        yield _finish(*under_way.popleft())


def _finish(client: RunnerClient, request: Request) -> Request:
    client.finish(request)
    return request


def exchange(link: Link, header: dict[str, Any], block: bytes = b"") -> tuple[dict[str, Any], bytes]:
    """One question and its answer on a link that nobody else uses yet. Raises PoolError."""
    answers: list[tuple[dict[str, Any], bytes]] = []
    try:
        link.send(wire.pack({**header, "id": 0}, block))
        decoder = wire.Decoder()
        while not answers and (data := link.receive(_PIECE)):
            answers += decoder.feed(data)
    except OSError as error:
        raise PoolError(f"the runner does not answer: {error}") from error
    if not answers:
        raise PoolError("the runner ended before it was ready")
    if "error" in answers[0][0]:
        raise PoolError(answers[0][0]["error"])
    return answers[0]


def run_on(link: Link, program: Program) -> Execution:
    """Runs one program on such a link."""
    request = request_run([program])
    request.reply = exchange(link, request.header, request.block)
    return executions_of(request, 1)[0]
