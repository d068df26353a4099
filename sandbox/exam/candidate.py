"""The candidate's end of an exam: loads the program, answers what the examiner asks of it.

Everything here shares an interpreter with hostile code and may be patched by it; so nothing here decides
anything. It only has to serve honest programs well: values go back as plain data, what has no plain form
stays here and goes by number, changes to arguments are sent back.
"""

from __future__ import annotations

import dataclasses
import linecache
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import CoroutineType, ModuleType
from typing import Any

from proctor.sandbox.channel import Channel, Rehearsal
from proctor.sandbox.exam.bounds import MAX_NAMES
from proctor.sandbox.exam.changes import containers, members_of
from proctor.sandbox.exam.classes import Classes
from proctor.sandbox.exam.console import open_console
from proctor.sandbox.exam.decode import Decoder
from proctor.sandbox.exam.derived import build
from proctor.sandbox.exam.describe import Numbered, code_of, describe, parameters_of, pythons_own, resolve
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.link import Conversation, ExamOverError
from proctor.sandbox.exam.operations import OPERATIONS, data_of
from proctor.sandbox.exam.patched import Originals
from proctor.sandbox.exam.plain import SCALARS
from proctor.sandbox.exam.program import FILENAME, compile_first, load, where
from proctor.sandbox.exam.shared import Shared, have_changed, is_kept, is_read, values_of
from proctor.sandbox.exam.stand_in import StandIn, ask

_PROGRAM = "from typing import List\n\ndef f(x: List[int]) -> list:\n    return [x, 'a']\n"


def sit(payload: bytes, channel: Channel) -> None:
    """Entry of the candidate's jail. The payload is a message: `sources` (the first that compiles is taken;
    its place is reported, for the evidence) and `prelude`."""
    _desk.serve(payload, channel.peer, channel.report)


class Desk:
    """Loads one program and answers requests, one at a time; requests may come inside requests."""

    def __init__(self) -> None:
        self._module = ModuleType("solution")
        self._names = self._module.__dict__
        self._failure: BaseException | None = None
        self._originals = Originals(self._names)
        self._numbered = Numbered()
        self._pid = 0
        self._encoder = Encoder(self._numbered)
        self._classes = Classes(self._names)
        self._decoder = Decoder(self._classes, self._adopt)
        self._shared = Shared()
        self.conversation = Conversation(None, self._encoder, self._decoder, self._answer)
        self.conversation.shared = lambda: self._shared.items
        self.conversation.containers = lambda values: containers(
            values, self._encoder.by_value, self._numbered.has
        )
        self._verbs: dict[str, Callable[..., Any]] = {
            "call": self._call,
            "method": lambda value, name, args, pairs: getattr(value, name)(*args, **_keywords(pairs)),
            "new": lambda value, args, pairs: self._numbered.keep(value(*args, **_keywords(pairs))),
            "get": lambda value, name: getattr(value, name),
            "set": lambda value, name, item: setattr(value, name, item),
            "del": lambda value, name: delattr(value, name),
            "fields": lambda kind: [field.name for field in dataclasses.fields(kind)],
            "derive": build,
            "super": lambda kind, owner, name: getattr(super(kind, owner), name),
            "patch": self._originals.patch,
            "unpatch": self._originals.unpatch,
            "data": data_of,
            "code": code_of,
            "parameters": parameters_of,
            "op": lambda name, *operands: OPERATIONS[name](*operands),
            "changed": lambda nothing: self._shared.settle(),
            "console": lambda nothing: open_console(partial(ask, self.conversation)),
            "names": self._describe_names,
            "defined": self._defined,
        }

    def serve(self, payload: bytes, peer: socket.socket, report: Callable[[bytes], None]) -> None:
        """Until the examiner hangs up."""
        self._pid = os.getpid()
        self.conversation.connect(peer)
        try:
            spec = self._decoder.decode(payload)
            code, place = compile_first(spec["sources"])
            if place:
                report(str(place).encode())
            load(code, self._module, prelude=spec["prelude"])
        except (
            BaseException
        ) as error:  # whatever a program raises while it loads is told when asked for names
            self._failure = error
        self.answer_all()

    def answer_all(self) -> None:
        conversation = self.conversation
        try:
            with conversation.turn:
                while True:
                    message = conversation.read(conversation.shared)
                    conversation.lines.send(self._answer(message))
        except ExamOverError:
            return

    def _answer(self, message: list[Any]) -> bytes:
        """The line that answers one request, with the containers that it changed."""
        verb, *rest = message
        changeable, shared = self._changeable(message), self._shared
        before = list(map(members_of, changeable))
        try:
            answer: list[Any] = ["=", self.conversation.rest(self._verbs[verb], *rest)]
        except ExamOverError:
            raise
        except BaseException as error:  # all that a program may raise goes back as data
            answer = ["!", error, where(error)]
        if os.getpid() != self._pid:
            os._exit(0)  # a fork of the program came back here: one process answers, not two
        try:
            known = [*changeable, *shared.items]
            if have_changed(changeable, before) or shared.have_changed():
                line = self._encoder.encode_graph(answer, known)
                shared.settle()
            else:
                line = self._encoder.encode(answer, known)
        except Exception as error:  # too large, too deep, or made to be unreadable
            return self._encoder.encode(["!", error, []])
        self._share(message, answer[1], changeable)
        return line

    def _changeable(self, message: list[Any]) -> Sequence[Any]:
        """The containers among the arguments of a call, but for those that are shared from now on."""
        verb, *rest = message
        is_call = verb in ("call", "method", "new")
        if is_call and not rest[-1] and SCALARS.issuperset(map(type, rest[-2])):
            return ()
        keeps = is_kept(message)
        if not (is_call or keeps):
            return ()
        found = containers(rest, self._encoder.by_value, self._numbered.has)
        is_shared = keeps and self._shared.add(found)
        return found if is_call and not is_shared else ()

    def _goes_by_number(self, value: object) -> bool:
        return self._numbered.has(value) and not isinstance(value, CoroutineType)

    def _share(self, message: list[Any], value: Any, changeable: Sequence[Any]) -> None:
        """Remembers what the tests read, and arguments that what was made of them may keep."""
        if message[0] == "names" and type(value) is dict:
            values = values_of(value, message[1])
            self._shared.add(containers(values, self._encoder.by_value, self._numbered.has))
        elif is_read(message):
            self._shared.add(containers((value,), self._encoder.by_value, self._numbered.has))
        elif message[0] == "call" and not is_kept(message) and self._goes_by_number(value):
            self._shared.add(changeable)

    def _call(self, target: Any, args: list[Any], pairs: list[Any]) -> Any:
        function = target
        if type(target) is str:
            function = self._names[target] if target in self._names else resolve(self._names, target)
            function = self._originals.find(target) or function
        return function(*args, **_keywords(pairs)) if pairs else function(*args)

    def _describe_names(
        self, names: list[str], classes: list[str], asked: Sequence[str] = ()
    ) -> dict[str, Any]:
        """What the program has under these names. `classes` are those that the tests define as well.

        Of those in `asked` it is said where the program only imports Python's own.
        """
        if self._failure is not None:
            raise self._failure
        shared = {name for name in classes if isinstance(self._names.get(name), type)}
        self._encoder.by_value = frozenset(shared)
        told = {name: describe(self._names, name, self._numbered) for name in names} | {"": sorted(shared)}
        for name in asked:
            if name in self._names and self._names[name] is pythons_own(name):
                told[name] = ["python"]
        return told

    def _defined(self, nothing: None) -> list[str]:
        """What the program defines itself; nothing where it could not be loaded, which the next question tells."""
        return [
            name
            for name, value in self._names.items()
            if callable(value) and getattr(value, "__module__", None) == self._module.__name__
        ][:MAX_NAMES]

    def _adopt(self, tag: str, body: Any) -> Any:
        if tag == "y":
            return resolve(self._names, body) if type(body) is str else self._numbered[body]
        if len(body) > 2:  # a class of exceptions, to be raised and caught here as its instances are
            return self._classes.error_class(body[2])
        return StandIn.of(body, self.conversation)


def _keywords(pairs: list[Any]) -> dict[str, Any]:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


REHEARSAL = Rehearsal(
    f"{__name__}:{sit.__name__}",
    Encoder().encode({"sources": [_PROGRAM], "prelude": False}),
    b'["names",["f"],[],[]]\n["call","f",[1],[]]\n["call","f",[[1]],[]]\n["call","f",[["a","b"]],[]]\n',
)


def _warm_up() -> None:
    """Sits a small exam where submissions are forked from.

    What a process does for the first time after a fork costs it a page fault of 3-4 us for every page that it
    touches; what was done before, in the process it was forked from, touches fewer.
    """
    for _ in range(3):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(REHEARSAL.requests + b'["call","g",[],[]]\n')
            ours.shutdown(socket.SHUT_WR)
            Desk().serve(REHEARSAL.payload, theirs, lambda data: None)
    sys.modules.pop("solution", None)
    linecache.cache.pop(FILENAME, None)


_warm_up()
_desk = Desk()  # made before the fork: making it costs a tenth of a millisecond after it
