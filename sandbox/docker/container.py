"""One container with a runner in it, and the stream to that runner.

The outer wall: no network, read-only root, no capability, no_new_privs, a user that owns nothing and is no
other container's, limits on memory and processes, memory file systems as the only writable places, no log.
It ends with its host: when the attached stream closes, so does the runner's standard input, the runner ends,
with it number 1, and the engine removes the container.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import struct
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from proctor.sandbox import wire
from proctor.sandbox.client import exchange
from proctor.sandbox.core import PoolError
from proctor.sandbox.docker import engine
from proctor.sandbox.local import seccomp
from proctor.sandbox.local.setting import Setting

CODE, WORK = "/proctor", "/tmp"
_SOURCES = Path(__file__).absolute().parents[1]
_START_S = 90.0
_LOOK_S = 1.0  # how often it is looked whether a container that takes nothing is still there
_HEADER = struct.Struct(">BxxxL")  # of the engine's multiplexed stream: 1 output, 2 error output; size
_STDERR, _TAIL = 2, 4096
# What the inner jail itself is built with; the engine's own profile keeps it from everybody.
_FOR_JAILS = {"mount", "umount2", "pivot_root", "mount_setattr", "unshare", "setns"}
# Number 1 until its own program has arrived: lays out the sources that come on standard input, and becomes it.
# Sent at the start, and not part of the image: an image serves every version of this package.
_BOOT = """
import json, os, sys
if sys.version_info < (3, 10):
    sys.exit("its Python is %d.%d, and 3.10 or later is needed" % sys.version_info[:2])
def read(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            sys.exit(0)
        data += piece
    return data
for name, text in json.loads(read(int.from_bytes(read(8), "little"))).items():
    path = os.path.join(sys.argv[1], name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
program = sys.argv[1] + "/proctor/sandbox/docker/keeper.py"
os.execve(sys.executable, [sys.executable, "-I", "-S", "-X", "utf8", program, *sys.argv[1:]], {})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What a container is given."""

    image: str
    memory_mb: int
    processes: int
    scratch_mb: int  # of the memory file system that programs write to; counts as memory
    has_namespaces: bool  # the jail inside may make namespaces of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Jail:
    """What the jail within is to be; the container knows the rest of its setting."""

    isolation: str
    packages: tuple[str, ...] = ()  # of the image, which Python programs may import
    modules: tuple[str, ...] = ()  # where `entry` functions live


class ContainerLink:
    """A container that runs, its runner set up. Closing it ends both."""

    def __init__(self, walls: Walls, jail: Jail) -> None:
        """Raises PoolError, and the SDK's exceptions where the engine fails on the way."""
        self._api = engine.connect()
        self._pid = os.getpid()
        self._pending = bytearray()
        self._stderr = bytearray()
        self._socket: Any = None
        self._raw: Any = None
        self.id = ""
        try:
            self.id = self._create(walls, jail)
            self._attach()
            self._start(walls.image)
            self._send_sources(walls.image)
            self.setting = self._set_up(walls, jail)
        except BaseException:  # an interrupt too: the container would outlive it
            self.close()
            raise

    def _create(self, walls: Walls, jail: Jail) -> str:
        user = engine.user_for_container(self._api)
        wanted = json.dumps(dataclasses.asdict(jail))
        created = self._api.create_container(
            walls.image,
            command=["python3", "-I", "-S", "-X", "utf8", "-c", _BOOT, CODE, WORK, wanted],
            entrypoint=[],
            user=f"{user}:{user}",
            working_dir="/",
            stdin_open=True,
            labels={engine.LABEL: "1", engine.OWNER: engine.owner()},
            network_disabled=True,
            host_config=self._api.create_host_config(**_host_config(walls, user)) | _unmasked(walls),
        )
        return str(created["Id"])

    def _attach(self) -> None:
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        try:
            self._raw = self._api.attach_socket(self.id, streams)
        except APIError as error:
            if error.response is not None:
                error.response.close()  # the SDK leaves a refused stream open
            raise
        self._socket = getattr(self._raw, "_sock", self._raw)
        self._socket.settimeout(_START_S)

    def _start(self, image: str) -> None:
        try:
            self._api.start(self.id)
        except APIError as error:
            if "executable file not found" in str(error.explanation):
                raise engine.unfit(image, "it has no python3 on its PATH") from error
            raise

    def _send_sources(self, image: str) -> None:
        """Looks whether anybody takes them: the engine keeps what it sends to a container that has just died."""
        self._socket.settimeout(_LOOK_S)
        deadline = time.monotonic() + _START_S
        left = memoryview(_packed_sources())
        while left:
            try:
                left = left[self._socket.send(left) :]
            except OSError as error:
                is_patient = isinstance(error, TimeoutError) and time.monotonic() < deadline
                if not (is_patient and self._is_running()):
                    raise self._ended(image) from error
        self._socket.settimeout(_START_S)

    def _is_running(self) -> bool:
        try:
            return bool(self.inspect()["State"]["Running"])
        except NotFound:
            return False

    def _ended(self, image: str) -> PoolError:
        with contextlib.suppress(OSError):  # what it had to say
            self._socket.settimeout(_LOOK_S)
            while self.receive(_TAIL):
                continue
        return PoolError(f"a container of {image} ended before it was ready: {self.last_words}")

    def _set_up(self, walls: Walls, jail: Jail) -> Setting:
        """Has the container work out its setting, and hands it to the runner."""
        decoder = wire.Decoder()
        greeting: dict[str, Any] = {}
        while not greeting:
            data = self.receive(1 << 16)
            if not data:
                raise self._ended(walls.image)
            for header, _ in decoder.feed(data):
                greeting = header
        if greeting["missing"]:
            why = f"programs were to import {', '.join(greeting['missing'])}, which it lacks"
            raise engine.unfit(walls.image, why, packages=jail.packages)
        try:
            exchange(self, {"op": "setup", "setting": greeting["setting"], "slots": 1, "processors": []})
        except PoolError as error:
            raise PoolError(f"{error}: {self.last_words}" if self.last_words else str(error)) from error
        return Setting.from_dict(greeting["setting"])

    @property
    def last_words(self) -> str:
        return self._stderr.decode(errors="replace").strip()

    def inspect(self) -> dict[str, Any]:
        """What the engine says of the container."""
        details: dict[str, Any] = self._api.inspect_container(self.id)
        return details

    def set_patience(self, seconds: float) -> None:
        """How long the runner may say nothing. A container that is stopped, or hangs, counts as lost."""
        self._socket.settimeout(seconds)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, most: int) -> bytes:
        """What the runner has written; b"" at its end. Keeps the end of the error output for messages."""
        while True:
            output = self._take_output()
            if output:
                return output
            data = self._socket.recv(most)
            if not data:
                return b""
            self._pending += data

    def _take_output(self) -> bytes:
        """All whole pieces of output that have come."""
        output = bytearray()
        start = 0
        while len(self._pending) - start >= _HEADER.size:
            kind, size = _HEADER.unpack_from(self._pending, start)
            end = start + _HEADER.size + size
            if end > len(self._pending):
                break
            piece = self._pending[start + _HEADER.size : end]
            if kind == _STDERR:
                self._stderr = (self._stderr + piece)[-_TAIL:]
            else:
                output += piece
            start = end
        del self._pending[:start]
        return bytes(output)

    def close(self) -> None:
        is_ours = self._pid == os.getpid()
        if self._socket is not None:
            if is_ours:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                self._socket.close()
                self._raw.close()
        if is_ours and self.id:  # a fork of the host only lets go of its descriptors
            engine.remove(self._api, self.id)
        self._api.close()


def _host_config(walls: Walls, user: int) -> dict[str, Any]:
    rights = f"rw,nosuid,nodev,uid={user},gid={user},mode=700"
    security = ["no-new-privileges"]
    if walls.has_namespaces:
        security += [f"seccomp={_profile()}", "apparmor=unconfined"]  # AppArmor's default forbids mounts
    return {
        "auto_remove": True,
        "network_mode": "none",
        "ipc_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": security,
        "mem_limit": f"{walls.memory_mb}m",
        "memswap_limit": f"{walls.memory_mb}m",
        "pids_limit": walls.processes,
        "tmpfs": {CODE: f"{rights},noexec,size=16m", WORK: f"{rights},exec,size={walls.scratch_mb}m"},
        "log_config": {"type": "none", "config": {}},
    }


def _unmasked(walls: Walls) -> dict[str, list[str]]:
    """Without a whole /proc in its container no jail can give a command a /proc of its own.

    The user that sees the container's can read nothing of what is masked otherwise; programs do not see it.
    """
    return {"MaskedPaths": [], "ReadonlyPaths": []} if walls.has_namespaces else {}


@cache
def _profile() -> str:
    """The container's system calls where jails inside make namespaces: all but what nobody there needs.

    Programs never see it: the jail's own filter, which is stricter than the engine's profile, stands before.
    """
    forbidden = sorted({*seccomp.KILLED, "io_uring_enter"} - _FOR_JAILS)  # slots have rings, and use none
    rules = [{"names": forbidden, "action": "SCMP_ACT_ERRNO"}]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


@cache
def _packed_sources() -> bytes:
    """The sandbox's own modules, length first; the package around them is empty inside."""
    files = {"proctor/__init__.py": ""}
    for path in sorted(_SOURCES.rglob("*.py")):
        files[f"proctor/sandbox/{path.relative_to(_SOURCES)}"] = path.read_text(encoding="utf-8")
    data = json.dumps(files).encode()
    return len(data).to_bytes(8, "little") + data
