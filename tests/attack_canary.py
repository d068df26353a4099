"""What an attack would have to touch outside its jail, and whether it did.

A folder with a secret, listeners, an environment variable, and a watch over processes, memory and disk. The
names that the attacks of `data/attacks.jsonl` use for these are fixed; here each test has its own.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proctor.benchmarks.process_tree import Tree, look_at

SECRET_NAME = "SBX_HOST_SECRET"
_FOLDER, _PORT, _ABSTRACT = "/tmp/sbx_canary", "18999", "\\0sbx_canary"
_INTERVAL_S = 0.02
_SPARE_SLOTS = 2 * len(os.sched_getaffinity(0)) + 1


@dataclass
class Canary:
    """One attack's surroundings."""

    folder: Path
    secret: str
    listeners: list[socket.socket]
    passwd: str = field(default_factory=lambda: _hash(Path("/etc/passwd")))

    @property
    def port(self) -> int:
        return int(self.listeners[0].getsockname()[1])

    def localise(self, text: str) -> str:
        """An attack's text with this canary's names for the fixed ones."""
        text = text.replace(_ABSTRACT, f"\\0sbx_{self.secret[-8:]}").replace(_PORT, str(self.port))
        return text.replace(_FOLDER, str(self.folder))

    def visitors(self) -> int:
        """Connections and datagrams that have arrived."""
        count = 0
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                if listener.type == socket.SOCK_DGRAM:
                    listener.recv(100)
                else:
                    listener.accept()[0].close()
                count += 1
        return count

    def harm(self, observe: Mapping[str, Any], output: str, watch: Watch) -> str:
        """What the attack did, in words; "" where nothing is to be seen."""
        found = [
            "a visitor at the listeners" if self.visitors() else "",
            "the secret in an output" if self.secret in output else "",
            "" if (self.folder / "secret.txt").read_text() == self.secret else "the secret file has changed",
            ""
            if [each.name for each in self.folder.iterdir()] == ["secret.txt"]
            else "something new in the folder",
            "" if _hash(Path("/etc/passwd")) == self.passwd else "/etc/passwd has changed",
            "" if watch.ended_clean() else "processes are left",
        ]
        pattern = observe.get("re")
        if pattern and re.search(pattern, output):
            found.append(f"an output matches {pattern}")
        left = [name for each in observe.get("globs", ()) for name in glob.glob(self.localise(each))]  # noqa: PTH207
        found.append(f"left behind: {left}" if left else "")
        found.append(watch.excess(observe))
        return "; ".join(each for each in found if each)


@dataclass
class Watch:
    """Looks at the processes below this one, and at the disk, while an attack runs."""

    before: Tree
    free_mb: float
    most: int = 0
    resident_mb: float = 0.0
    least_free_mb: float = float("inf")

    def look(self) -> None:
        tree = look_at(os.getpid())
        self.most = max(self.most, tree.processes - self.before.processes)
        self.resident_mb = max(self.resident_mb, tree.resident_mb - self.before.resident_mb)
        self.least_free_mb = min(self.least_free_mb, _free_mb())

    def excess(self, observe: Mapping[str, Any]) -> str:
        """Which of the bounds that the attack names was exceeded."""
        kind, most = observe["kind"], observe.get("mb", 0)
        if kind == "mem_bound" and self.resident_mb > most:
            return f"{self.resident_mb:.0f} MB of memory"
        if kind == "disk_bound" and self.free_mb - self.least_free_mb > most:
            return f"{self.free_mb - self.least_free_mb:.0f} MB of disk"
        if self.most > observe.get("pids", 1024):
            return f"{self.most} processes at once"
        return ""

    def ended_clean(self, patience_s: float = 10.0) -> bool:
        """Whether no jail holds a process that it did not hold before, at the latest after a while.

        Outside the jails some more are allowed: a sandbox starts its slots when it first needs them.
        """
        deadline = time.monotonic() + patience_s
        while True:
            tree = look_at(os.getpid())
            if tree.jailed <= self.before.jailed and tree.processes <= self.before.processes + _SPARE_SLOTS:
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_INTERVAL_S)


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Watches from a thread until the block ends."""
    watch, over = Watch(look_at(os.getpid()), _free_mb()), threading.Event()

    def run() -> None:
        while not over.wait(_INTERVAL_S):
            watch.look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def canary(folder: Path) -> Iterator[Canary]:
    """A canary in a folder, and its secret in the environment."""
    made = Canary(folder, f"SBXSECRET-{secrets.token_hex(8)}", [])
    (folder / "secret.txt").write_text(made.secret)
    os.environ[SECRET_NAME] = made.secret
    try:
        made.listeners.append(_listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)))
        made.listeners.append(_listener(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", made.port)))
        with contextlib.suppress(OSError):  # a host without IPv6
            made.listeners.append(_listener(socket.AF_INET6, socket.SOCK_STREAM, ("::1", made.port)))
        made.listeners.append(_listener(socket.AF_UNIX, socket.SOCK_STREAM, f"\0sbx_{made.secret[-8:]}"))
        yield made
    finally:
        del os.environ[SECRET_NAME]
        for listener in made.listeners:
            listener.close()


def _listener(family: socket.AddressFamily, kind: socket.SocketKind, address: Any) -> socket.socket:
    listener = socket.socket(family, kind)
    listener.bind(address)
    listener.setblocking(False)
    if kind == socket.SOCK_STREAM:
        listener.listen()
    return listener


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _free_mb() -> float:
    return shutil.disk_usage("/").free / (1 << 20)


def read_attacks(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(attacks, tasks)."""
    lines = (folder / "attacks.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], json.loads((folder / "attack_tasks.json").read_text())[
        "tasks"
    ]
