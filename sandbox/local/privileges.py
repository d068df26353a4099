"""What a slot gives up once, for itself and all that it starts.

Covers: no exec gives a capability, no change of identity regains one, no core dump, small fixed limits.
Does not cover: the slot's own capabilities, with which it makes process namespaces and mounts work folders;
a submission loses those, and its identity, in `seal`.
"""

from __future__ import annotations

import contextlib
import resource

from proctor.sandbox.local import syscalls

_LAST_CAPABILITY = 63
# What no submission needs.
_ONCE = {
    resource.RLIMIT_CORE: 1,  # not 0: 1 also keeps the kernel from piping a dump to the host's crash handler
    resource.RLIMIT_MEMLOCK: 64 << 10,
    resource.RLIMIT_MSGQUEUE: 0,
    resource.RLIMIT_NICE: 0,
    resource.RLIMIT_RTPRIO: 0,
    resource.RLIMIT_SIGPENDING: 256,
}
# Judges give compiled programs more than the usual 8 MB: searches recurse 100,000 deep and more. It is also what
# glibc reserves for each thread of a command, so no more than this.
_STACK = 64 << 20


def narrow() -> None:
    """For a slot, once: no capability survives an exec, no identity regains one."""
    for capability in range(_LAST_CAPABILITY + 1):
        with contextlib.suppress(OSError):  # EINVAL: this kernel has fewer; EPERM: we have none to lose
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
    with contextlib.suppress(PermissionError):
        syscalls.prctl(syscalls.PR_SET_SECUREBITS, syscalls.SECURE_ALL_LOCKED)


def limit() -> None:
    """For a slot, once it has all that it needs: small fixed limits."""
    for kind, most in _ONCE.items():
        soft, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (_least(soft, most), _least(hard, most)))
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (_least(hard, _STACK), hard))


def _least(present: int, most: int) -> int:
    return most if present == resource.RLIM_INFINITY else min(present, most)
