"""Papers that are lists of calls: what goes in, and what is to come out.

Every call is written once for all candidates and sent ahead in portions, so that a candidate works through
them without waiting for the examiner. What is expected is here as values, or worked out by a reference
solution that runs on this side.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from proctor.sandbox.exam.bounds import TooLargeError, UnsendableError
from proctor.sandbox.exam.encode import Encoder
from proctor.sandbox.exam.equality import Equality, Truth
from proctor.sandbox.exam.examinee import Examined
from proctor.sandbox.exam.foresight import PORTION
from proctor.sandbox.exam.names import Wanted
from proctor.sandbox.exam.paper import BadTestsError
from proctor.sandbox.exam.samples import sample_arguments, typed_inputs
from proctor.sandbox.exam.sheet import Sheet
from proctor.sandbox.exam.traces import leaves_traces

_EVALPLUS_ABS = 1e-6  # the tolerance of a task that names none, once an expected answer is floats
NOT_EQUAL = "the answer is not what was expected"


@dataclass
class CallPaper:
    """A task's calls, with the request line and the expected answer of each."""

    entry: str
    lines: list[bytes]
    expected: list[list[Any]]  # of each call, the values of which any will do
    equalities: list[Equality]  # by which each answer is compared
    leaves_traces: bool = False  # what worked out its answers did, in the process that read it

    @property
    def count(self) -> int:
        return len(self.lines)

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.entry, (self.entry,), {})

    @property
    def classes(self) -> list[str]:
        return []

    def namespace(self) -> dict[str, Any]:
        return {}

    @property
    def foreseen(self) -> Sequence[bytes]:
        """The first portion, sent before `run`."""
        start, stop = next(self._portions())
        return self.lines[start:stop]

    def run(self, examinee: Examined, sheet: Sheet) -> None:
        """Asks every call in order; stops where the sheet does."""
        for start, stop in self._portions():
            if start:
                examinee.send_ahead(self.lines[start:stop])
            for number in range(start, stop):
                with sheet.unit(number):
                    self._ask(examinee, sheet, number)

    def _ask(self, examinee: Examined, sheet: Sheet, number: int) -> None:
        got = examinee.answer_to(self.lines[number])
        sheet.checked()
        if not any(self.equalities[number].holds(got, expected) for expected in self.expected[number]):
            raise AssertionError(NOT_EQUAL)

    def _portions(self) -> Iterator[tuple[int, int]]:
        start, size = 0, 0
        for number, line in enumerate(self.lines):
            if number > start and size + len(line) > PORTION:
                yield start, number
                start, size = number, 0
            size += len(line)
        if self.lines:
            yield start, len(self.lines)


def read_calls(spec: Mapping[str, Any]) -> CallPaper:
    """Reads a paper of calls.

    Args:
        spec: `entry_point`; `calls`, each {"args": [...], "kwargs": {...}, "expected": ...} (and
            perhaps another value that will do, "or_expected"); or `inputs`
            (lists of arguments) with `reference` (source of a right solution) and perhaps `examples` (asserts
            that show the arguments' types, where the inputs came through JSON), compared as EvalPlus does;
            `rel`, `abs` and `tuples_as_lists` as in Equality.

    Raises:
        BadTestsError: there is no call, or the reference solution fails.
    """
    entry = spec["entry_point"]
    calls = spec.get("calls") or _from_reference(spec)
    if not calls:
        raise BadTestsError("the list of calls is empty")
    rules = spec.get("rel", 0.0), spec.get("abs", 0.0), spec.get("tuples_as_lists", False)
    equality = Equality(*rules, as_evalplus="calls" not in spec)
    paper = CallPaper(entry, [], [], [])
    if "reference" in spec and "calls" not in spec:
        paper.leaves_traces = leaves_traces(ast.parse(spec["reference"]), spec["reference"], ())
    encoder = Encoder()
    for call in calls:
        args, kwargs = list(call.get("args") or ()), dict(call.get("kwargs") or {})
        flat = [item for pair in kwargs.items() for item in pair]
        paper.lines.append(encoder.encode(["call", entry, args, flat]))
        paper.expected.append([call[name] for name in ("expected", "or_expected") if name in call])
        if equality.as_evalplus and not equality.abs and _is_floats(call["expected"]):
            equality = replace(equality, abs=_EVALPLUS_ABS)  # from here on, as there
        paper.equalities.append(equality)
    return paper


def _is_floats(value: object) -> bool:
    """A float or a list of nothing else: `is_floats` of EvalPlus 0.3.1."""
    items = value if isinstance(value, list | tuple) else [value]
    return bool(items) and all(isinstance(item, float) for item in items)


def _plain(value: Any) -> Any:
    """What a reference solution returned; of an object that has no plain form (a match) only its truth.

    Raises BadTestsError where no candidate could send as much.
    """
    try:
        Encoder().encode(value)
    except TooLargeError as error:
        raise BadTestsError(f"the expected answer to a call is beyond hidden tests: {error}") from error
    except UnsendableError:
        return Truth(bool(value))
    return value


def _from_reference(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    names: dict[str, Any] = {"__name__": "reference"}
    calls = []
    try:
        exec(compile(spec["reference"], "reference.py", "exec", dont_inherit=True), names)
        function = names[spec["entry_point"]]
        samples = sample_arguments(spec.get("examples") or "", spec["entry_point"])
        for args in typed_inputs(spec["inputs"], samples):
            calls.append({"args": args, "expected": _plain(function(*copy.deepcopy(args)))})
    except BadTestsError:
        raise
    except Exception as error:  # the border to a text of the data set
        raise BadTestsError(f"the reference solution failed: {type(error).__name__}: {error}") from error
    if any(isinstance(call["expected"], Truth) for call in calls):
        for call in calls:  # a match or None: the None is no more than false
            call["expected"] = Truth(False) if call["expected"] is None else call["expected"]
    return calls
