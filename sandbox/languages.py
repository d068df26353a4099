"""The languages that programs may be written in: how each is compiled and run, and where its tools lie.

A definition names tools, never paths: `tools_of` finds them on this machine, so that a missing compiler is
said before anything runs, and is nobody's wrong answer. Python's programs need no entry here where they run
in a forked interpreter; the one below runs them as a command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from proctor.sandbox.core import Limits
from proctor.sandbox.java_main import java_main, java_start

_PROBE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language.

    Attributes:
        name: what it is called in options.
        aliases: other names, as they stand behind code fences.
        source: file name of the program; `{main}` is what `main_of` finds in it.
        compile: command that writes `artefact`, or only checks the syntax where there is none; () for none.
        artefact: file that the compiler leaves and that is run; "" where the source itself is run.
        run: command.
        tools: what must be installed; each word of a command that is one of them becomes its path.
        version: command that prints the version.
        compile_limits: compilers need more memory, processes and time than programs.
        extra_memory_mb: what the run-time system takes before the program has done anything.
        extra_processes: threads of the run-time system.
        env: variables of both commands.
        readable: patterns of paths from the root, outside of the tools' own folder, that they read.
        main_of: finds the name of the program's file, where the language ties it to a class.
        start_of: finds what is run, `{main}` of `run`; None: the same.
    """

    name: str
    source: str
    run: tuple[str, ...]
    version: tuple[str, ...]
    tools: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    compile: tuple[str, ...] = ()
    artefact: str = ""
    compile_limits: Limits = field(
        default_factory=lambda: Limits(
            cpu_s=30, wall_s=60, memory_mb=2048, processes=128, file_mb=256, open_files=256
        )
    )
    extra_memory_mb: int = 0
    extra_processes: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    readable: tuple[str, ...] = ()
    main_of: Callable[[str], str] = lambda source: "main"
    start_of: Callable[[str], str] | None = None


class MissingToolError(LookupError):
    """A compiler or interpreter is not installed on this machine."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where a language's tools lie: path by name, and the folders a jail must show for them."""

    paths: Mapping[str, str]
    readable: tuple[str, ...]

    def command(self, words: tuple[str, ...], **values: str) -> tuple[str, ...]:
        """A command with tools as paths and `{main}` and the like filled in."""
        return tuple(self.paths.get(word) or word.format(**self.paths, **values) for word in words)


LANGUAGES = (
    Language(
        name="python",
        aliases=("py", "python3", "py3"),
        source="main.py",
        run=("python3", "main.py"),
        version=("python3", "--version"),
        tools=("python3",),
        compile=("python3", "-m", "py_compile", "main.py"),
    ),
    Language(
        name="c",
        source="main.c",
        compile=("gcc", "-std=gnu17", "-O2", "-o", "main", "main.c", "-lm"),
        artefact="main",
        run=("./main",),
        version=("gcc", "--version"),
        tools=("gcc",),
    ),
    Language(
        name="cpp",
        aliases=("c++", "cc", "cxx"),
        source="main.cpp",
        # What C++17 does not take may be C++20; the other way round, new names in std clash with a program's own.
        compile=(
            *("sh", "-c"),
            "{g++} -std=gnu++17 -O2 -o main main.cpp 2>/dev/null || {g++} -std=gnu++2a -O2 -o main main.cpp",
        ),
        artefact="main",
        run=("./main",),
        version=("g++", "--version"),
        tools=("g++",),
    ),
    Language(
        name="javascript",
        aliases=("js", "node", "nodejs"),
        source="main.js",
        compile=("node", "--check", "main.js"),
        run=("node", "--stack-size=4000", "main.js"),
        version=("node", "--version"),
        tools=("node",),
        extra_memory_mb=512,
        extra_processes=32,
    ),
    Language(
        name="java",
        source="{main}.java",
        compile=(
            *("sh", "-c"),
            "{javac} -J-XX:+UseSerialGC -J-Xmx512m -nowarn -d out {main}.java && {jar} cf main.jar -C out .",
        ),
        artefact="main.jar",
        run=(
            "java",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Xss64m",
            "-Xmx{memory}m",
            "-cp",
            "main.jar",
            "{main}",
        ),
        version=("java", "--version"),
        tools=("java", "javac", "jar"),
        extra_memory_mb=512,
        extra_processes=64,
        readable=("etc/java-*-openjdk",),
        main_of=java_main,
        start_of=java_start,
    ),
    Language(
        name="rust",
        aliases=("rs",),
        source="main.rs",
        compile=("rustc", "--edition=2021", "-Copt-level=2", "-Cstrip=symbols", "-o", "main", "main.rs"),
        artefact="main",
        run=("./main",),
        version=("rustc", "--version"),
        tools=("rustc", "cc"),
    ),
    Language(
        name="go",
        aliases=("golang",),
        source="main.go",
        compile=("go", "build", "-ldflags=-s -w", "-o", "main", "main.go"),
        artefact="main",
        run=("./main",),
        version=("go", "version"),
        tools=("go",),
        extra_memory_mb=256,
        extra_processes=32,
        env={"GOCACHE": "/tmp/go-cache", "GOPATH": "/tmp/go", "GO111MODULE": "off", "GOTOOLCHAIN": "local"},
    ),
    Language(
        name="bash",
        aliases=("sh", "shell"),
        source="main.sh",
        compile=("bash", "-n", "main.sh"),
        run=("bash", "main.sh"),
        version=("bash", "--version"),
        tools=("bash",),
    ),
)
_BY_NAME = {name: language for language in LANGUAGES for name in (language.name, *language.aliases)}


def find_language(name: str) -> Language:
    """By name or alias. Raises KeyError that lists the known ones."""
    language = _BY_NAME.get(name.lower())
    if language is None:
        known = ", ".join(language.name for language in LANGUAGES)
        raise KeyError(f"unknown language '{name}'; known are {known}")
    return language


@lru_cache(maxsize=32)
def tools_of(name: str) -> Tools:
    """A language's tools on this machine. Raises MissingToolError that names what is missing."""
    language = find_language(name)
    paths: dict[str, str] = {}
    readable: set[str] = set()
    for tool in language.tools:
        found = shutil.which(tool)
        if found is None:
            raise MissingToolError(
                f"language '{language.name}' needs '{tool}', which is not on this machine's PATH; install it"
            )
        paths[tool], folder = _real_tool(tool, found)
        readable.add(folder)
    for pattern in language.readable:
        readable.update(map(str, Path("/").glob(pattern)))
    return Tools(paths, tuple(sorted(readable - {"/usr"})))


def plain_tools(name: str) -> Tools:
    """A language's tools by their bare names: for a container, whose own PATH says where they lie."""
    return Tools({tool: tool for tool in find_language(name).tools}, ())


def version_of(name: str) -> str:
    """First line of what the language's own tool says of its version. Raises MissingToolError."""
    language = find_language(name)
    command = tools_of(name).command(language.version)
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_S, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def _real_tool(tool: str, found: str) -> tuple[str, str]:
    """Path to call, and the folder that holds what it needs.

    Switches that look for the real tool under a home folder, which no jail has, are passed by: rustup's
    `rustc`, pyenv's `python3` (the interpreter that this runs in is taken).
    """
    if tool == "python3":
        return os.path.realpath(sys.executable), os.path.realpath(sys.base_prefix)
    if tool == "rustc":
        asked = subprocess.run(
            [found, "--print", "sysroot"], capture_output=True, timeout=_PROBE_S, check=False
        )
        sysroot = Path(asked.stdout.decode().strip())
        if (sysroot / "bin" / "rustc").exists():
            return str(sysroot / "bin" / "rustc"), str(sysroot)
    real = Path(found).resolve()
    if real.is_relative_to("/usr"):
        return found, "/usr"
    return str(real), str(real.parent.parent)
