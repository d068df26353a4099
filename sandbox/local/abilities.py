"""What this host's kernel and container let us do, each thing tried in a process of its own.

    python -I -S abilities.py ROOT      prints JSON: {ability: "" or why it is not to be had}

For the message when a jail does not start. Tried, not read off version numbers: containers' seccomp profiles
and distributions' settings take away what the kernel has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path.append(sys.argv[1])

from proctor.sandbox.local import landlock, namespaces, syscalls

_SETTINGS = {
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
    "user.max_user_namespaces": "0",
}


def probe_host(package_root: str) -> dict[str, str]:
    """Runs this file in a fresh interpreter, as trying namespaces out would change the caller's own."""
    command = [sys.executable, "-I", "-S", str(Path(__file__).absolute()), package_root]
    done = subprocess.run(command, capture_output=True, timeout=60, env={}, check=False)
    try:
        found: dict[str, str] = json.loads(done.stdout)
    except ValueError:
        return {"a bare interpreter": done.stderr.decode(errors="replace")[-500:]}
    return found


def namespace_settings() -> str:
    """Kernel settings that forbid user namespaces here, for a person to change."""
    found = []
    for name, forbidding in _SETTINGS.items():
        try:
            value = Path("/proc/sys", *name.split(".")).read_text().strip()
        except OSError:
            continue
        if value == forbidding:
            found.append(f"{name} = {value}")
    return ", ".join(found)


def _enter() -> None:
    namespaces.enter_own_mounts(privileged=namespaces.is_privileged())


def _make_slot_namespaces() -> None:
    _enter()
    process = syscalls.clone(namespaces.OF_SLOT | syscalls.CLONE_NEWUSER)
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)


def _mount() -> None:
    _enter()
    syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("probe", "/mnt", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=4k")


def _filter() -> None:
    from proctor.sandbox.local import seccomp

    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.Filter(seccomp.submission_filter(guards_signals=False, guards_limits=False)).install()


def _landlock() -> None:
    if landlock.abi() == 0:
        raise OSError("the kernel has no Landlock, or was started without it (lsm=)")


_ABILITIES: dict[str, Callable[[], None]] = {
    "user and mount namespaces": _enter,
    "mounting": _mount,
    "process, network, IPC and host-name namespaces": _make_slot_namespaces,
    "seccomp filters": _filter,
    "landlock": _landlock,
}


def _try(action: Callable[[], None]) -> str:
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            action()
        except BaseException as error:  # the result of the attempt
            os.write(writing, f"{error}".encode())
        os._exit(0)
    os.close(writing)
    status = os.waitpid(process, 0)[1]
    complaint = os.read(reading, 4096).decode(errors="replace")
    return complaint or ("" if status == 0 else f"the attempt was ended with status {status}")


if __name__ == "__main__":
    print(json.dumps({name: _try(action) for name, action in _ABILITIES.items()}))
