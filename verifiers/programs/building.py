"""Programs as files: compiled where their language wants it, once for equal text, then run as commands."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from proctor.sandbox.core import Execution, Limits, Outcome, Program, Sandbox
from proctor.sandbox.languages import Language, MissingToolError, Tools, find_language, tools_of

_CACHE_BYTES = 256 << 20
_NOT_FOUND = 127  # a shell's word, and the jail's, for a command that is not there


@dataclass(frozen=True, slots=True)
class Built:
    """A program that can be run, or how its compilation ended."""

    language: Language
    tools: Tools
    files: Mapping[str, bytes]
    main: str  # what is run, by name
    compiled: Execution | None = None  # of the compiler; None where nothing was to be compiled

    @property
    def failed(self) -> bool:
        return self.compiled is not None and self.compiled.outcome is not Outcome.OK

    def program(self, stdin: bytes, limits: Limits) -> Program:
        """The program on one input. What the language's own run-time system takes comes on top of the limits."""
        language = self.language
        command = self.tools.command(language.run, main=self.main, memory=str(limits.memory_mb))
        own = replace(
            limits,
            memory_mb=limits.memory_mb + language.extra_memory_mb,
            processes=limits.processes + language.extra_processes,
        )
        return Program(argv=command, stdin=stdin, files=self.files, env=language.env, limits=own)


class Builder:
    """Compiles in a sandbox, and remembers what came of it by content. Thread-safe."""

    def __init__(self, max_bytes: int = _CACHE_BYTES) -> None:
        self._built: OrderedDict[bytes, Built] = OrderedDict()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def build(self, source: str, language_name: str, sandbox: Sandbox, tools: Tools | None = None) -> Built:
        """The program, compiled if need be, with this machine's tools where none are given.

        Raises MissingToolError. INTERNAL_ERRORs are not remembered.
        """
        language = find_language(language_name)
        tools = tools_of(language.name) if tools is None else tools
        text = "\0".join((language.name, *tools.paths.values(), source))
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if key in self._built:
                self._built.move_to_end(key)
                return self._built[key]
        built = _build(source, language, sandbox, tools)
        if built.compiled is None or built.compiled.outcome is not Outcome.INTERNAL_ERROR:
            self._remember(key, built)
        return built

    def _remember(self, key: bytes, built: Built) -> None:
        with self._lock:
            if key not in self._built:
                self._built[key] = built
                self._bytes += _size(built)
            while self._bytes > self._max_bytes and len(self._built) > 1:
                _, oldest = self._built.popitem(last=False)
                self._bytes -= _size(oldest)


def _build(source: str, language: Language, sandbox: Sandbox, tools: Tools) -> Built:
    main = language.main_of(source)
    text = {language.source.format(main=main): source.encode("utf-8", "surrogatepass")}
    if not language.compile:
        return Built(language, tools, text, main)
    compiled = sandbox.run(
        Program(
            argv=tools.command(language.compile, main=main),
            files=text,
            env=language.env,
            collect=(language.artefact,) if language.artefact else (),
            limits=language.compile_limits,
        )
    )
    if compiled.exit_code == _NOT_FOUND:
        needed = " and ".join(language.tools)
        raise MissingToolError(f"language '{language.name}' needs {needed}, which the sandbox does not have")
    files = compiled.files if language.artefact else text
    if compiled.outcome is Outcome.OK and language.artefact and language.artefact not in compiled.files:
        compiled = replace(compiled, outcome=Outcome.COMPILE_ERROR, detail=f"no file {language.artefact}")
    start = language.start_of(source) if language.start_of else main
    return Built(language, tools, files, start, replace(compiled, files={}))


def _size(built: Built) -> int:
    return sum(map(len, built.files.values())) + len(built.compiled.stderr if built.compiled else b"")
