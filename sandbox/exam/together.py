"""Tests beside the program, in one interpreter: for tests that need the program's own objects.

Weaker than an exam, and used only where it is asked for by name: whatever the program does to the interpreter
can change its verdict. The report begins with a nonce that the program is not told, which stops a program
that writes reports, and not one that looks for the nonce in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from proctor.sandbox.channel import Channel
from proctor.sandbox.exam.decode import Decoder
from proctor.sandbox.exam.describe import resolve
from proctor.sandbox.exam.examiner import read
from proctor.sandbox.exam.paper import BadTestsError, Wanted
from proctor.sandbox.exam.program import compile_first, load, where
from proctor.sandbox.exam.sitting import Sitting


def run(payload: bytes, channel: Channel) -> None:
    """Entry. The payload is a message: `program` (as a candidate's payload), `paper` (bytes) and `nonce`."""
    spec = Decoder().decode(payload)
    try:
        paper_spec = Decoder().decode(spec["paper"])
        paper = read(paper_spec)
        report = Sitting(
            paper, Neighbour(spec["program"], paper.namespace()), bool(paper_spec.get("keep_going"))
        ).hold()
    except BadTestsError as error:
        report = {"result": "bad_tests", "detail": str(error)[:1000]}
    channel.report(spec["nonce"].encode() + json.dumps(report).encode())


class Neighbour:
    """The candidate as `Examinee` shows it, but in this very interpreter."""

    over = ""

    def __init__(self, program: Mapping[str, Any], names: dict[str, Any]) -> None:
        self.names = names
        self.uses = 0
        self.last_call = b""
        self.last_answer: object = None
        self.last_error: tuple[BaseException, Any] | None = None
        self._program = program
        self._module = ModuleType("solution")

    def introduce(self, wanted: Wanted, classes: Sequence[str], ahead: Sequence[bytes]) -> dict[str, Any]:
        try:
            code, _ = compile_first(self._program["sources"])
            load(code, self._module, prelude=self._program["prelude"])
        except BaseException as error:
            self.last_error = error, where(error)
            raise
        self.uses = 1  # what becomes of the objects is not followed
        found = {}
        for name in (*wanted.names, *wanted.by_text):
            try:
                found[name] = resolve(vars(self._module), name)
            except (KeyError, AttributeError):
                continue
        return found

    def send_ahead(self, lines: Sequence[bytes]) -> None:
        """There is nobody to send to."""

    def open_console(self) -> None:
        """There is but one."""

    def answer_to(self, line: bytes) -> Any:
        """The answer to a call that was written as a request."""
        self.last_call = line
        _, path, args, pairs = Decoder().decode(line)
        kwargs = dict(zip(pairs[::2], pairs[1::2], strict=True))
        try:
            self.last_answer = resolve(vars(self._module), path)(*args, **kwargs)
        except BaseException as error:
            self.last_answer, self.last_error = error, (error, where(error))
            raise
        return self.last_answer
