"""The candidate as the tests see it: names to call, and a record of what was asked and answered."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from proctor.sandbox.exam.bounds import ANSWERS, MAX_CLASSES, MAX_NAMES, WireError
from proctor.sandbox.exam.changes import containers, members_of
from proctor.sandbox.exam.classes import Classes
from proctor.sandbox.exam.console import listeners
from proctor.sandbox.exam.decode import Decoder
from proctor.sandbox.exam.describe import pythons_own
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.kinship import Kinship
from proctor.sandbox.exam.lent import Lent
from proctor.sandbox.exam.link import Conversation, ExamOverError
from proctor.sandbox.exam.patience import Patience
from proctor.sandbox.exam.plain import SCALARS
from proctor.sandbox.exam.program import MAX_FRAMES
from proctor.sandbox.exam.remote import (
    ClassInfo,
    RemoteClass,
    RemoteObject,
    came_back,
    is_remote,
    made,
    mark_classes,
    note_answers,
)
from proctor.sandbox.exam.remote_function import RemoteFunction
from proctor.sandbox.exam.rich import BUILTIN_TYPES
from proctor.sandbox.exam.shared import Shared, changes, have_changed, is_kept, is_read, values_of
from proctor.sandbox.exam.special import enum_base, make_class, wait

if TYPE_CHECKING:
    from proctor.sandbox.exam.names import Wanted

_ENDS_LOOPS = (StopIteration, StopAsyncIteration, GeneratorExit)
_MAX_LINE, _MAX_NAME = 10**9, 200  # of what is shown of a frame


class CandidateError(Exception):
    """Raised in place of an exception that would end the tests' own loops without a failure."""


class Examined(Protocol):
    """A candidate, wherever its program runs.

    Attributes:
        names: the tests' namespace.
        uses: how often the tests have called, constructed or read something of the candidate's.
        last_call: the line of the last call, for the evidence: the arguments themselves may have changed.
        last_answer: what came back, a value or an exception.
        last_error: the exception that the candidate answered with last, and where in its program it arose.
    """

    names: dict[str, Any]
    uses: int
    last_call: bytes
    last_answer: object
    last_error: tuple[BaseException, Any] | None

    @property
    def over(self) -> str:
        """Why the conversation ended early; "" where it did not."""

    def introduce(self, wanted: Wanted, classes: Sequence[str], ahead: Sequence[bytes]) -> dict[str, Any]:
        """Waits until the program is loaded, and gives what it defines of what is wanted.

        Args:
            wanted: names of the program (`f`, `Class`, `Class.method`); those for which Python's own is given
                where the program only imports it; and those that are taken if it happens to define them.
            classes: classes that the tests define themselves; where the program has them as well (from the
                prompt), their instances go as data.
            ahead: calls that are about to be asked, as for `send_ahead`.

        Raises:
            BaseException: whatever the program raised while it was loaded.
        """

    def send_ahead(self, lines: Sequence[bytes]) -> None:
        """Sends calls that are about to be asked in this order."""

    def open_console(self) -> None:
        """From now on the tests hear what the program prints, and answer its `input`."""

    def answer_to(self, line: bytes) -> Any:
        """The answer to a call that was written beforehand; what it changes of its arguments is dropped."""


class Examinee:
    """A candidate in a jail of its own."""

    def __init__(self, sock: socket.socket, names: dict[str, Any]) -> None:
        self.names = names
        self.uses = 0
        self.last_call = b""
        self.last_answer: object = None
        self.last_error: tuple[BaseException, Any] | None = None
        self.kinship = Kinship()
        self._objects: list[RemoteObject | RemoteClass] = []
        self._kinds: list[RemoteClass] = []
        self.newest: object = None  # the object that came in the last answer for the first time
        self._back: list[Any] = []  # made by the tests, and in what the candidate said last
        self._named: frozenset[str] = frozenset()
        self._classes = Classes(names, self.ask)
        self._lent = Lent(_number_of)
        self._shared = Shared()
        self._are_told = False  # changes to what is shared came with an answer
        self._encoder = Encoder(self._lent)
        decoder = Decoder(self._classes, self._adopt, ANSWERS)
        self.conversation = Conversation(sock, self._encoder, decoder, self._serve)
        self.conversation.containers = lambda values: containers(
            values, self._encoder.by_value, lambda value: is_remote(value) or self._lent.has(value)
        )
        self._turn = self.conversation.turn
        self._patience = Patience(self.conversation.end, self.conversation.lines.is_hung_up)
        self.conversation.note_long = self._patience.begin  # what tests do with it counts from then on

    def introduce(self, wanted: Wanted, classes: Sequence[str], ahead: Sequence[bytes]) -> dict[str, Any]:
        names, asked = wanted.names, wanted.asked
        self._named, self._classes.shared = frozenset(names), frozenset(classes)
        if wanted.by_text:
            # All that it defines is asked for, not what of that is in texts of the tests: those hold answers as well.
            defined = self._defined()
            self._named |= wanted.by_text.intersection(defined)
            names = tuple(dict.fromkeys([*names, *defined]))
        request = self._encoder.encode(
            ["names", list(names), list(classes), *([list(asked)] if asked else [])]
        )
        self.conversation.send_ahead([request, *ahead])
        told = self._unpack(self.conversation.ask(request))
        try:
            # only what was asked about: it decides which objects of the tests the candidate gets to see whole
            self._encoder.by_value = frozenset(told.pop("")).intersection(classes)
            own = {name: pythons_own(name) for name in asked if told[name] == ["python"]}
            found = own | {name: self._bind(name, *told[name]) for name in names if name not in own}
            self._shared.add(self._containers(["names", *values_of(told, names)]))
        except (AttributeError, TypeError, LookupError, ValueError) as error:
            raise ExamOverError("garbled: a description of names that is none") from error
        mark_classes(found)
        self.uses += sum(told[name][0] in _READ for name in names)
        return {name: found[name] for name in found if name in self._named and found[name] is not _MISSING}

    def _defined(self) -> list[str]:
        told = self._unpack(self.conversation.ask(self._encoder.encode(["defined", None])))
        if type(told) is not list or len(told) > MAX_NAMES or not all(type(name) is str for name in told):
            raise ExamOverError("garbled: names that are none")
        return told

    @property
    def over(self) -> str:
        return self.conversation.over

    def send_ahead(self, lines: Sequence[bytes]) -> None:
        self.conversation.send_ahead(lines)

    def open_console(self) -> None:
        self._lent.allow(listeners())
        self.conversation.ask(self._encoder.encode(["console", None]))

    def call(self, target: object, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self._call(["call", target, list(args), _flat(kwargs)])

    def call_method(self, owner: object, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        resumes = name in ("send", "throw") and hasattr(type(owner), "__next__")
        return self._call(["method", owner, name, list(args), _flat(kwargs)], may_end_loops=resumes)

    def construct(self, kind: RemoteClass, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        is_made = kind._proctor_class.is_made
        with self._turn:
            found = made(self._call(["new", kind, list(args), _flat(kwargs)]), is_made)
            if is_remote(found):
                self.kinship.note_made(found, self.last_call)
            return found

    def ask(self, verb: str, *operands: object) -> Any:
        """Any other request: attributes and operators of objects that stay with the candidate."""
        self.uses += 1
        is_next = verb == "op" and operands[0] in ("next", "anext")
        message = [verb, *operands]
        with self._turn:
            line = self._encode(message)
            if is_kept(message):
                self._shared.add(self._containers(message))
            found = self._unpack(self._ask(line, self._known), may_end_loops=is_next)
            if is_read(message):
                self._shared.add(self._containers([verb, found]))
        return found

    def tell(self, verb: str, *operands: object) -> None:
        """A request that is no use of the candidate: what the tests put in place of something of its own."""
        self.ask(verb, *operands)
        self.uses -= 1

    def derive(
        self, kind: RemoteClass, bases: Sequence[type], members: Sequence[Any], how: Mapping[str, Any]
    ) -> None:
        """Makes a class of the tests' known to the candidate, which derives it from its own."""
        theirs = [base for base in bases if isinstance(base, RemoteClass)]
        known = len(self._kinds)
        found = self.ask("derive", kind.__name__, theirs, members, dict(how))
        if not (isinstance(found, RemoteClass) and found in self._kinds[known:]):
            raise ExamOverError("garbled: a class that is none")
        info = kind._proctor_class = found._proctor_class
        kind._proctor_examinee = self
        info.is_made = any(base._proctor_class.is_made for base in theirs)
        self._kinds = [kind if each is found else each for each in self._kinds]
        self._objects = [kind if each is found else each for each in self._objects]

    def answer_to(self, line: bytes) -> Any:
        own = Decoder(self._classes, self._adopt)  # the bounds on answers are not for what tests ask
        return self._call_line(line, lambda: self._containers(own.decode(line)))

    def _call(self, message: list[Any], may_end_loops: bool = False) -> Any:
        with self._turn:
            return self._call_in_turn(message, may_end_loops)

    def _call_in_turn(self, message: list[Any], may_end_loops: bool) -> Any:
        args, pairs = message[-2:]
        if not pairs and SCALARS.issuperset(map(type, args)):
            return self._call_line(self._encode(message), self._known, may_end_loops)
        line = self._encode(message)
        changeable = self._containers(message)
        if is_kept(message):
            changeable = () if self._shared.add(changeable) else changeable
            return self._call_line(line, lambda: [*changeable, *self._known()], may_end_loops)
        found = self._call_line(line, lambda: [*changeable, *self._known()], may_end_loops)
        if is_remote(found) or isinstance(found, RemoteClass):
            self._shared.add(changeable)
        return found

    def _call_line(self, line: bytes, known: Callable[[], Sequence[Any]], may_end_loops: bool = False) -> Any:
        self.uses += 1
        self.last_call, self.last_answer = line, NO_ANSWER
        answer = self._ask(line, known)
        self.last_answer = answer[1]
        return self._unpack(answer, may_end_loops)

    def _containers(self, message: list[Any]) -> Sequence[Any]:
        return containers(message[1:], self._encoder.by_value, is_remote)

    def _encode(self, message: list[Any]) -> bytes:
        """A request, behind what the tests changed of what the candidate shares."""
        if self._shared.have_changed():
            self._shared.settle()
            self.conversation.ask(
                self._encoder.encode_graph(["changed", None], self._shared.items), self._known
            )
        return self._encoder.encode(message, self._shared.items)

    def _ask(self, line: bytes, known: Callable[[], Sequence[Any]]) -> list[Any]:
        self.newest = None
        answer = self.conversation.ask(line, known)
        self._patience.note_answer()
        self._note_answers(answer[1])
        if self._are_told:
            self._are_told = False
            self._shared.settle()
        return answer

    def _note_answers(self, answer: object) -> None:
        came, self._back = self._back, []
        note_answers(came, answer)

    def _known(self) -> Sequence[Any]:
        """The containers that the candidate shares, which it is about to change."""
        self._are_told = True
        return self._shared.items

    def _unpack(self, answer: list[Any], may_end_loops: bool = False) -> Any:
        if answer[0] == "=":
            return answer[1]
        error = answer[1]
        if not isinstance(error, BaseException):
            raise ExamOverError("garbled: an exception that is none")
        vars(error)[_OF_CANDIDATE] = True
        self.last_error = (error, _frames(answer[2]) if len(answer) > 2 else None)
        if isinstance(error, _ENDS_LOOPS) and not may_end_loops:
            raise CandidateError(f"the candidate raised {type(error).__name__}") from error
        raise error

    def _serve(self, message: list[Any]) -> bytes:
        if self._classes.has_met_type and message[0] in _ACTS:
            raise ExamOverError("forbidden: `type` beside a request")  # a callback could be made to call it
        self._note_answers(None)
        self.newest = None
        self._patience.serve()
        try:
            given = self.conversation.containers(message[2:]) if message[0] == "call" else ()
            before = list(map(members_of, given))
            answer = self.conversation.rest(self._lent.answer, message)
            if answer[0] == "=" and have_changed(given, before):  # a callback was given something to change
                answer.append(changes(given, before))
            return self._encoder.encode(answer)
        finally:
            self._patience.end()

    def _adopt(self, tag: str, body: Any) -> Any:
        """What stands for an object of the candidate's here; or, for tag "y", our own object that came back."""
        if tag == "y":
            return self._lent[body]
        number, *rest = body
        if rest:
            if number != len(self._objects):
                raise WireError("numbers out of order")
            sort, *about = rest
            kind = self._kind(about, sort)
            if sort == "class":
                kind._proctor_class.number = number
                self._objects.append(kind)
                return kind
            self.newest = made_here = kind._proctor_of(number)
            self._objects.append(made_here)
            return wait(made_here) if sort == "awaitable" else made_here
        if type(number) is not int or number < 0:
            raise WireError("a number that is none")
        known = self._objects[number]
        if came_back(known):
            self._back.append(known)
        return known

    def _kind(self, about: list[Any], sort: str) -> RemoteClass:
        number: int
        number, *rest = about
        if rest:
            bases, methods = rest
            if len(self._kinds) >= MAX_CLASSES or max(len(bases), len(methods)) > MAX_NAMES:
                raise WireError(f"more than {MAX_CLASSES} different classes")
            if not all(type(name) is str for name in (*bases, *methods)):
                raise WireError("names that are none")
            info = ClassInfo(bases, methods, not self._named.isdisjoint(bases))
            self._kinds.append(make_class(self, info, sort))
        return self._kinds[number]

    def _bind(self, name: str, kind: str, *about: Any) -> Any:
        """What a name of the program is in the tests."""
        if kind == "function":
            return RemoteFunction(self, name)
        if kind == "value":
            return about[0]
        if kind == "error":
            path = RemoteFunction(self, name)
            found = self._classes.named_error(about[0], path, lambda each: self.ask("get", path, each))
            # else `pytest.raises(Full)` and `except Full` would take the tests' own failed checks for it
            return self._classes.alias(found) if issubclass(AssertionError, found) else found
        if kind == "enum":
            members, mixin, base, specials = about
            root = enum_base(self, name, base, specials)
            return self._classes.enum(name, members, root, BUILTIN_TYPES[mixin] if mixin else None)
        if kind == "tuple":
            found = self._classes.named_tuple(*about)
            if found in self._classes.made:
                found.__new__ = lambda kind, *args, **kwargs: self.call(name, args, kwargs)
            return found
        return _MISSING


_MISSING = object()
_ACTS = ("call", "set", "op")  # requests that hand something to an object of the tests
_READ = ("value", "enum", "error")  # used by being read; a function is used by being called
_OF_CANDIDATE = "__proctor_of_candidate__"  # marks exceptions that came with an answer


def is_of_candidate(error: BaseException) -> bool:
    return _OF_CANDIDATE in vars(error)


NO_ANSWER = object()  # the last call has not come back


def _frames(told: Any) -> Any:
    """Where a candidate says that an error arose, [line, function] a frame; None for what it made up."""
    is_list = type(told) is list and len(told) <= MAX_FRAMES
    if not is_list or not all(type(frame) is list and list(map(type, frame)) == [int, str] for frame in told):
        return None
    return [[min(max(line, 0), _MAX_LINE), name[:_MAX_NAME]] for line, name in told]


def _flat(kwargs: Mapping[str, Any]) -> list[Any]:
    return [item for pair in kwargs.items() for item in pair] if kwargs else []


def _number_of(value: Any) -> Any | None:
    """The number (of a function: its name) by which the candidate knows one of its own; None for ours."""
    if is_remote(value):
        return value._proctor_number
    if isinstance(value, RemoteClass):
        return value._proctor_class_number()
    return value._path if type(value) is RemoteFunction else None
