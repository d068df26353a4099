"""Attempts to break out, made from inside the very jail that submissions get; harmless where they succeed.

Each attempt belongs to one layer and says what it tried, whether the layer held, and what it saw. Attempts
that a filter answers with death are made in forks. Standard library only: the zygote imports this.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH108, PTH120, PTH123, PTH208

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from proctor.sandbox.channel import Channel
from proctor.sandbox.local import seal, syscalls

# (layer, attempt, whether it held, what was seen)
Finding = tuple[str, str, bool, str]
_SIOCGIFCONF = 0x8912
_PR_CAPBSET_READ = 23
_PR_GET_DUMPABLE, _PR_GET_SECCOMP, _PR_GET_NO_NEW_PRIVS = 3, 21, 39
_DEADLY = ("ptrace", "mount", "unshare", "setns", "bpf", "keyctl", "perf_event_open", "userfaultfd",
           "process_vm_readv", "pidfd_getfd", "init_module", "kexec_load", "open_by_handle_at")  # fmt: skip
_ABSENT = ("clone3", "io_uring_setup", "memfd_create", "shmget", "semget", "msgget")
_FAMILIES = ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET", "AF_VSOCK")


def attack(payload: bytes, channel: Channel) -> None:
    """Tries everything and reports a JSON list of findings.

    The payload is JSON: `pid`, `file` (readable by anybody on the host), `has_namespaces`, the `limits` that
    were set, the `environment` that was given, and `counts_processes`: whether the kernel counts a run's apart
    from all others of its user.
    """
    host = json.loads(payload)
    findings = [finding for probe in _PROBES for finding in _guarded(probe, host)]
    channel.report(json.dumps(findings).encode())


def _guarded(probe: Callable[[dict[str, Any]], Iterator[Finding]], host: dict[str, Any]) -> list[Finding]:
    """A probe that breaks has proved nothing, and says so."""
    try:
        return list(probe(host))
    except Exception as error:  # the border of one probe
        return [(probe.__name__, "the probe itself", False, f"{type(error).__name__}: {error}")]


def identity(host: dict[str, Any]) -> Iterator[Finding]:
    ids = (*os.getresuid(), *os.getresgid(), *os.getgroups())
    yield "identity", "be root", 0 not in ids, f"identities {sorted(set(ids))}"
    yield "identity", "become root", *_raises(lambda: os.setresuid(0, 0, 0))
    capabilities = _capabilities()
    yield "identity", "have capabilities", capabilities == 0, f"{capabilities:#x}"
    if host["has_namespaces"]:
        held = [number for number in range(41) if syscalls.prctl(_PR_CAPBSET_READ, number)]
        yield "identity", "keep capabilities for what it executes", not held, f"bounding set: {held}"
    yield "identity", "gain by exec", syscalls.prctl(_PR_GET_NO_NEW_PRIVS) == 1, "no_new_privs is set"
    yield "identity", "be traced or dumped", syscalls.prctl(_PR_GET_DUMPABLE) == 0, "not dumpable"


def files(host: dict[str, Any]) -> Iterator[Finding]:
    for path in (host["file"], "/etc/shadow", "/proc/1/environ", "/sys/kernel"):
        yield "files", f"read {path}", *_raises(partial(os.open, path, os.O_RDONLY))
    for path in ("/x", "/usr/x", "/etc/x", "/dev/x", os.path.dirname(host["file"]) + "/x"):
        yield "files", f"write {path}", *_raises(partial(os.mkdir, path))
    if host["has_namespaces"]:
        folder = os.path.dirname(host["file"])
        yield "files", f"see {folder}", not os.path.lexists(folder), "it is not there"
        devices = sorted(os.listdir("/dev"))
        yield "files", "find devices", not {"tty", "kmsg", "mem", "shm0"} & set(devices), ", ".join(devices)


def processes(host: dict[str, Any]) -> Iterator[Finding]:
    if host["has_namespaces"]:
        yield "processes", "have a number among the host's", os.getpid() == 1, f"I am {os.getpid()}"
    yield "processes", f"signal the host's process {host['pid']}", *_raises(lambda: os.kill(host["pid"], 0))


def network(host: dict[str, Any]) -> Iterator[Finding]:
    left, right = socket.socketpair()
    buffer = bytearray(4096)
    address = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    request = bytearray(struct.pack("iL", len(buffer), ctypes.addressof(address)))
    fcntl.ioctl(left, _SIOCGIFCONF, request)
    size = struct.unpack_from("i", request)[0]
    left.close()
    right.close()
    yield "network", "find an interface that is up", size == 0, f"{size // 40} interfaces"


def names(host: dict[str, Any]) -> Iterator[Finding]:
    own = os.uname().nodename
    yield "names and IPC", "learn the host's name", own == "box", f"it is called {own}"


def forbidden_calls(host: dict[str, Any]) -> Iterator[Finding]:
    yield "seccomp", "run unfiltered", syscalls.prctl(_PR_GET_SECCOMP) == 2, "a filter is in force"
    for name in _DEADLY:
        if name in syscalls.NUMBERS:
            ended = _in_fork(partial(syscalls.call, name, 0, 0, 0, 0, 0))
            yield "seccomp", name, ended == -signal.SIGSYS, f"ended with {ended}"
    ended = _in_fork(lambda: syscalls.clone(syscalls.CLONE_NEWUSER))
    yield "seccomp", "clone with a namespace", ended == -signal.SIGSYS, f"ended with {ended}"
    for name in _ABSENT:  # unfiltered, a first argument of 0 would have msgget make a queue, which would stay
        yield "seccomp", name, *_raises(partial(syscalls.call, name, 1, 0, 0, 0, 0), errno.ENOSYS)
    for name in _FAMILIES:
        family = getattr(socket, name)
        yield "seccomp", f"socket {name}", *_raises(partial(socket.socket, family, socket.SOCK_STREAM))


def landlock(host: dict[str, Any]) -> Iterator[Finding]:
    path = "/canary" if host["has_namespaces"] else host["file"]
    yield "landlock", f"read {path}, which its mode allows", *_raises(lambda: _read(path), errno.EACCES)


def limits(host: dict[str, Any]) -> Iterator[Finding]:
    asked = host["limits"]
    yield "limits", "open more files", *_raises(lambda: _open_many(asked["open_files"]), errno.EMFILE)
    too_much = (asked["memory_mb"] + 256) << 20
    yield "limits", "take more memory", *_raises(lambda: bytearray(too_much))
    yield "limits", "write more", *_raises(lambda: _fill(asked["file_mb"] + 1))
    if host["counts_processes"]:
        yield "limits", "start more processes", *_fork_many(asked["processes"])
    core = resource.getrlimit(resource.RLIMIT_CORE)
    yield "limits", "have a core dumped", core[1] in (0, 1), f"at most {core[1]} bytes"
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    yield (
        "limits",
        "raise a limit",
        *_raises(lambda: resource.setrlimit(resource.RLIMIT_CPU, (hard, hard + 9))),
    )


def leftovers(host: dict[str, Any]) -> Iterator[Finding]:
    own = {f"{name}={value}" for name, value in os.environ.items()} - {*host["environment"]}
    yield "leftovers", "find an environment", not own, f"{len(own)} variables"
    found = [number for number in range(seal.LINK + 1, 1024) if _is_open(number)]
    yield "leftovers", "find descriptors", not found, f"open: {found}" if found else "none but the protocol's"
    left = [name for name in os.listdir(".") if not name.startswith("probe-")]
    yield "leftovers", "find files of another run", not left, f"{len(left)} files"


_PROBES = (leftovers, identity, files, processes, network, names, forbidden_calls, landlock, limits)


def _raises(action: Callable[[], object], expected: int | None = None) -> tuple[bool, str]:
    """(held, what was seen): refused by an OSError, of one kind if `expected`, or for want of memory."""
    try:
        action()
    except OSError as error:
        return expected in (None, error.errno), error.strerror or str(error)
    except (MemoryError, ValueError) as error:  # ValueError: setrlimit's word for "not permitted"
        return expected is None, str(error) or type(error).__name__
    return False, "it worked"


def _in_fork(action: Callable[[], object]) -> int:
    """How a fork that does this ends: -signal, or 0 if it could."""
    process = os.fork()
    if process == 0:
        with contextlib.suppress(OSError):
            action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _capabilities() -> int:
    """The permitted ones, by capget, as there is no /proc to ask."""
    header = ctypes.create_string_buffer(struct.pack("<Ii", 0x2008_0522, 0), 8)
    data = ctypes.create_string_buffer(24)
    syscalls.call("capget", header, data)
    low, high = struct.unpack_from("<4xI8xI", data.raw)
    return int(low | high << 32)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(1)


def _open_many(count: int) -> None:
    held: list[int] = []
    try:
        for _ in range(count + 1):
            held.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for descriptor in held:
            os.close(descriptor)


def _fill(size_mb: int) -> None:
    try:
        with open("probe-fill", "wb") as file:
            for _ in range(size_mb):
                file.write(bytes(1 << 20))
    finally:
        os.unlink("probe-fill")


def _fork_many(most: int) -> tuple[bool, str]:
    """Processes that wait, until no more can be had; then all are ended."""
    started: list[int] = []
    refusal = "none was refused"
    for _ in range(most + 1):
        try:
            process = os.fork()
        except OSError as error:
            refusal = error.strerror or str(error)
            break
        if process == 0:
            signal.pause()
        started.append(process)
    for process in started:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return len(started) < most + 1, f"{len(started)} started, then: {refusal}"


def _is_open(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_GETFD)
    except OSError:
        return False
    return True
