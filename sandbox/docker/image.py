"""Making the sandbox's image: from a Dockerfile, or, where there is no registry, from this host's own files."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path

from docker.utils import parse_repository_tag

from proctor.sandbox.core import SandboxError
from proctor.sandbox.docker import engine
from proctor.sandbox.languages import LANGUAGES, MissingToolError, tools_of
from proctor.sandbox.local.packages import paths_of

DOCKERFILE = Path(__file__).with_name("sandbox.Dockerfile")
# What shell scripts commonly call; each with the libraries that it is linked to.
_COMMANDS = (
    "sh", "bash", "env", "cat", "cp", "date", "echo", "head", "id", "ls", "mkdir", "mkfifo", "mv", "printf",
    "rm", "seq", "setsid", "sleep", "sort", "tail", "tee", "touch", "tr", "true", "false", "uniq", "wc", "yes",
    "ln", "grep", "sed", "awk", "mawk", "cut",
)  # fmt: skip
_TOOLCHAINS = (
    "usr/bin", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib/gcc", "usr/libexec/gcc",
    "usr/include", "usr/lib/jvm", "usr/share/nodejs", "usr/lib/go", "usr/lib/go-*", "usr/share/go",
    "usr/share/go-*", "etc/alternatives",
)  # fmt: skip
# Compiled modules stay: without them each start takes thrice the time, and each process a quarter more memory.
_LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "ensurepip"}
_OWN_FOLDERS = "usr/local/languages"  # of tools that lie outside of /usr here, under a home folder mostly


def build(dockerfile: Path, tag: str, note: Callable[[str], None], *, packages: Sequence[str] = ()) -> str:
    """Builds a Dockerfile, passing the engine's lines to `note`. Returns the image's id. Raises SandboxError.

    `packages`: what its argument PACKAGES tells it to install for Python.
    """
    complaint = f"{dockerfile} could not be built"
    given = {"PACKAGES": " ".join(packages)} if packages else {}
    with _explaining(complaint), engine.connection() as api, dockerfile.open("rb") as file:
        for event in api.build(fileobj=file, tag=tag, rm=True, forcerm=True, decode=True, buildargs=given):
            if "error" in event:
                raise SandboxError(f"{complaint}: {event['error']}. Without a registry use --from-host")
            if line := str(event.get("stream", "")).strip():
                note(line)
        return _id_of(api, tag)


def build_from_host(tag: str, *, has_toolchains: bool = False, packages: Sequence[str] = ()) -> str:
    """An image of this host's interpreter without site-packages, a shell and what both are linked to.

    `has_toolchains`: also the compilers and interpreters of the other languages that are installed: gigabytes.
    `packages`: also these distributions of those that are installed, with what they require.
    Returns the image's id. Raises SandboxError.
    """
    shown = paths_of(tuple(packages))
    base = Path(os.path.realpath(sys.base_prefix))
    complaint = f"the engine did not take the image {tag!r}"
    changes = [f"ENV PATH={base}/bin:/usr/local/bin:/usr/bin:/bin", f"LABEL {engine.LABEL}=image"]
    repository, version = parse_repository_tag(tag)
    with engine.connection():  # better known before gigabytes are packed
        pass
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            root = _Root(archive)
            root.fill(base, has_toolchains=has_toolchains)
            root.install(base, [Path(path) for path in shown])
        file.flush()
        with _explaining(complaint), engine.connection() as api:
            answer = api.import_image_from_file(file.name, repository, version or "latest", changes=changes)
            if '"error"' in answer:
                raise SandboxError(f"{complaint}: {answer.strip()}")
            return _id_of(api, tag)


@contextlib.contextmanager
def _explaining(complaint: str) -> Iterator[None]:
    """What the SDK and the operating system raise, as ours."""
    try:
        yield
    except engine.FAILURES as error:
        raise SandboxError(f"{complaint}: {getattr(error, 'explanation', None) or error}") from error


def _id_of(api: object, tag: str) -> str:
    found: str = api.inspect_image(tag)["Id"]  # type: ignore[attr-defined]
    return found


class _Root:
    """A root file system as an archive; every path once, links with what they point to."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._names: set[str] = set()

    def fill(self, base: Path, *, has_toolchains: bool) -> None:
        for folder in ("tmp", "proc", "sys", "dev", "etc", "mnt", "proctor", "usr/sbin"):
            self._add_folder(folder)
        for link in ("/bin", "/sbin", "/lib", "/lib64"):  # links into /usr on most systems
            if Path(link).is_symlink():
                self._add(Path(link))
        python = Path(os.path.realpath(sys.executable))
        self._add_interpreter(base, python)
        programs = [Path(found) for name in _COMMANDS if (found := shutil.which(name, path="/usr/bin:/bin"))]
        extensions = Path(sysconfig.get_path("stdlib"), "lib-dynload").glob("*.so")
        for path in (*programs, *_libraries([python, *programs, *extensions])):
            self._add(path)
        if has_toolchains:
            patterns = (*_TOOLCHAINS, *(each for language in LANGUAGES for each in language.readable))
            for path in (found for pattern in patterns for found in Path("/").glob(pattern)):
                self._add_tree(path)
            for language in LANGUAGES:
                self._add_language(language.name)

    def install(self, base: Path, packages: Sequence[Path]) -> None:
        """Files and folders of some site-packages, into those of `base`, and the libraries they are linked to."""
        place = f"{_library_of(base)}/site-packages".lstrip("/")
        for path in packages:
            if path.is_dir():
                self._add_tree(path, f"{place}/{path.name}", left_out=set())
            else:
                self._add_file(path, f"{place}/{path.name}")
        extensions = [found for path in packages for found in path.rglob("*.so*") if found.is_file()]
        for library in _libraries(extensions) if extensions else ():
            if not any(library.is_relative_to(path) for path in packages):
                self._add(library)

    def _add_language(self, name: str) -> None:
        """Its tools outside of what is there already, moved to where the PATH of programs finds them."""
        try:
            tools = tools_of(name)
        except MissingToolError:
            return
        for tool, path in tools.paths.items():
            real = Path(path)
            own = next((folder for folder in tools.readable if real.is_relative_to(folder)), "")
            if real.is_relative_to("/usr"):
                self._add(real)
            elif own and name != "python":
                self._add_tree(Path(own), f"{_OWN_FOLDERS}/{name}")
                self._add_link(f"usr/local/bin/{tool}", f"/{_OWN_FOLDERS}/{name}/{real.relative_to(own)}")

    def _add_interpreter(self, base: Path, python: Path) -> None:
        """The prefix without what is installed into it; for the system's own, only its library."""
        self._add(python)
        self._add_tree(_library_of(base))
        for path in (base / "lib").glob("libpython3*.so*"):
            self._add(path)
        if not (base / "bin" / "python3").exists():
            raise SandboxError(f"the interpreter at {base} has no bin/python3")
        self._add(base / "bin" / "python3")
        if base not in (Path("/usr"), Path("/usr/local")):  # elsewhere programs would not find it
            self._add_link("usr/local/bin/python3", f"{base}/bin/python3")

    def _add_tree(self, top: Path, place: str = "", left_out: Container[str] = _LEFT_OUT) -> None:
        """A folder with all below it; `place`: where it lies in the archive, if elsewhere than here."""
        for folder, inner, files in os.walk(top):
            inner[:] = [name for name in inner if name not in left_out]
            links = [name for name in inner if Path(folder, name).is_symlink()]
            for path in (Path(folder, name) for name in (*files, *links)):
                if place:
                    self._add_file(path, f"{place}/{path.relative_to(top)}")
                else:
                    self._add(path)

    def _add(self, path: Path) -> None:
        """A file, or a link and what it leads to. Set-uid bits stay outside."""
        name = str(path).lstrip("/")
        if name in self._names or not os.path.lexists(path):
            return
        self._names.add(name)
        parent = path.parent
        if parent.is_symlink() or parent.resolve() != parent:
            self._add(parent.resolve() / path.name)
            return
        self._add_file(path, name)
        if path.is_symlink():
            target = path.parent / path.readlink()
            if not target.is_dir():
                self._add(Path(os.path.normpath(target)))

    def _add_file(self, path: Path, name: str) -> None:
        """A file or a link as it is, but for owner and mode."""
        entry = self._archive.gettarinfo(str(path), name)
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mode = (entry.mode & 0o755) | 0o444
        if path.is_symlink():
            self._archive.addfile(entry)
        elif path.is_file() and os.access(path, os.R_OK):
            entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
            with path.open("rb") as file:
                self._archive.addfile(entry, file)

    def _add_link(self, name: str, target: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        self._archive.addfile(entry)

    def _add_folder(self, name: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        self._archive.addfile(entry, io.BytesIO())


def _library_of(base: Path) -> Path:
    return Path(sysconfig.get_path("stdlib", vars={"base": str(base), "installed_base": str(base)}))


def _libraries(programs: Iterable[Path]) -> list[Path]:
    """The shared libraries that programs are linked to, the loader among them, as `ldd` finds them."""
    paths: dict[Path, None] = {}
    done = subprocess.run(
        ["ldd", *map(str, programs)],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C"} | os.environ,
        check=False,
    )
    for line in done.stdout.splitlines():
        words = line.strip().split()
        for word in words[2:3] if "=>" in words else words[:1]:
            if word.startswith("/") and not word.endswith(":"):
                paths[Path(word)] = None
    return list(paths)
