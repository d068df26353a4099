"""What the worker tests have workers do."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def echo(value: Any) -> Any:
    return value


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def spin() -> None:
    while True:
        pass


def spin_deaf() -> None:
    """Ignores every signal that can be ignored."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    spin()


def process_id() -> int:
    return os.getpid()


def parent_id() -> int:
    return os.getppid()


def fail(text: str) -> None:
    raise ValueError(text)


def fail_to_say() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    raise MuteError


def leave(code: int) -> None:
    sys.exit(code)


def vanish(code: int) -> None:
    os._exit(code)


def segfault() -> None:
    ctypes.string_at(0)


def overflow_stack() -> None:
    """Recursion in C that Python does not see: glibc parses nested groups by calling itself."""
    ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(4096), b"(" * 10**6, 1)


def kill_self(number: int) -> None:
    os.kill(os.getpid(), number)


def allocate(megabytes: int) -> int:
    """Grows in steps, and touches what it gets."""
    return len([bytearray(os.urandom(1)) * (1 << 20) for _ in range(megabytes)])


def allocate_at_once(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def leak(megabytes: int) -> None:
    """What it takes outlives the task, as in a cache."""
    sys.modules[__name__].__dict__.setdefault("kept", []).append(bytearray(b"x") * (megabytes << 20))


def allocate_under_another_name(megabytes: int) -> None:
    try:
        allocate(megabytes)
    except MemoryError as error:
        raise ValueError("could not parse") from error


def abort_for_memory(megabytes: int) -> None:
    """As a C library does: takes what it can, and aborts when there is no more."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    for _ in range(megabytes):
        block = libc.malloc(ctypes.c_size_t(1 << 20))
        if not block:
            os.abort()
        ctypes.memset(block, 1, 1 << 20)


def letters(count: int) -> str:
    return "x" * count


def unsayable(kind: str) -> Any:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: list[Any] = []
    for _ in range(10**5):
        deep = [deep]
    sys.set_int_max_str_digits(0)
    return {"set": {1}, "cycle": cycle, "deep": deep, "long": 10**5000, "bytes": b"x"}[kind]


def print_much() -> None:
    print("this goes nowhere", flush=True)
    print("neither does this", file=sys.stderr, flush=True)
    os.write(1, b"nor this")
    os.write(2, b"nor that")


def write(data: str) -> None:
    """Writes bytes of its own into the connection, as code that took the worker over might."""
    os.write(connection(), data.encode("latin-1"))
    time.sleep(60)


def hang_up() -> None:
    os.close(connection())
    time.sleep(60)


def connection() -> int:
    return next(fd for fd in range(3, 256) if _is_socket(fd))


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def descriptors() -> list[str]:
    folder = Path("/proc/self/fd")
    return sorted(str(entry.readlink()) for entry in folder.iterdir() if entry.exists() or entry.is_symlink())


def environment() -> dict[str, str]:
    return dict(os.environ)


def loaded(module: str) -> bool:
    return module in sys.modules


def main_name() -> str | None:
    return getattr(sys.modules["__main__"], "__file__", None)


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def set_order() -> list[str]:
    return list({"alpha", "beta", "gamma", "delta", "epsilon"})


def reach(what: str, path: str) -> None:
    """What code may try that got to run in a worker."""
    {
        "write": lambda: Path(path).write_bytes(b"x"),
        "remove": lambda: Path(path).unlink(),
        "create": lambda: Path(path, "new").mkdir(parents=True),
        "connect": lambda: socket.create_connection(("127.0.0.1", 1)),
        "signal": lambda: os.kill(os.getppid(), signal.SIGTERM),
        "run": lambda: subprocess.run(["sh", "-c", f"echo x > {path}"], check=True),
    }[what]()


def leave_child_behind(seconds: float) -> None:
    """A child that outlives its parent, in a session of its own."""
    child = os.fork()
    if child == 0:
        os.setsid()
        time.sleep(300)
        os._exit(0)
    time.sleep(seconds)
    os._exit(0)


def misbehave(index: int) -> int:
    """One in twenty hangs, crashes, exits or takes all memory, in turn."""
    if index % 20:
        return index
    return int([spin, segfault, lambda: vanish(1), lambda: allocate_at_once(10**6)][index // 20 % 4]())  # type: ignore[call-overload]


def is_running(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
