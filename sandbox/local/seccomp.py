"""The system calls a submission is refused, as a BPF program that is assembled once and installed per run.

Covers: what reaches past the other layers or outlives a run. Three answers:
- killed (outcome SECURITY_VIOLATION): calls that no honest program makes: ptrace, mounts, namespaces,
  bpf, keyrings, kernel modules, perf events, userfaultfd, another process's memory or descriptors, foreign
  architectures' calls;
- refused with EPERM/EACCES: what honest libraries try and can live without: sockets, clocks, priorities;
- "not implemented" (ENOSYS): clone3, io_uring, memfd_create, SysV and POSIX queues, and every call that is
  newer than this table; libraries fall back to what is there.

Does not cover: what an allowed call does with its memory arguments (paths, buffers), which BPF cannot
follow: files are the business of the mount namespace and of Landlock.

Source: Linux Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from proctor.sandbox.local import syscalls
from proctor.sandbox.local.syscalls import MACHINE, NUMBERS

# include/uapi/linux/bpf_common.h
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6] (low half first)
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16

ALLOW, KILL, ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_AUDIT_ARCH = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
_NEWEST_KNOWN = 462  # mseal, Linux 6.10: read against the table above; later ones wait until they have been
_AF_UNIX = 1
_OWN_PROCESS = 0x7FFF_0FED  # stands for the caller's id until the filter is installed: more than any
# Every CLONE_NEW* but NEWTIME, whose bit clone takes for part of a signal's number.
_NAMESPACES = 0x7E02_0000

KILLED = (
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    "mount", "umount2", "pivot_root", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "setns", "unshare", "bpf", "add_key", "request_key", "keyctl", "init_module",
    "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms", "kexec_load",
    "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "perf_event_open", "userfaultfd",
    "open_by_handle_at", "iopl", "ioperm", "lookup_dcookie", "nfsservctl", "uselib", "memfd_secret",
)  # fmt: skip
REFUSED = (
    "chroot", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname",
    "syslog", "vhangup", "quotactl", "quotactl_fd", "name_to_handle_at", "fanotify_init", "fanotify_mark",
    "modify_ldt", "sysfs", "ustat", "_sysctl", "personality", "setpriority", "ioprio_set",
    "sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity", "mbind", "set_mempolicy",
    "set_mempolicy_home_node", "migrate_pages", "move_pages", "process_mrelease",
    "connect", "bind", "listen", "accept", "accept4",
)  # fmt: skip
ABSENT = (
    "clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_create",
    "shmget", "shmat", "shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop",
    "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink",
)  # fmt: skip


def submission_filter(*, guards_signals: bool, guards_limits: bool) -> bytes:
    """The BPF program (array of struct sock_filter) for everything that a submission runs.

    Without a process namespace it could reach others of its user: `guards_signals` lets it signal only itself
    and its group, `guards_limits` lets it set only its own resource limits.
    """
    refused = dict.fromkeys(REFUSED, ERRNO | errno.EPERM)
    refused |= dict.fromkeys(ABSENT, ERRNO | errno.ENOSYS)
    refused |= dict.fromkeys(KILLED, KILL)
    refused["socket"] = ERRNO | errno.EACCES
    if guards_signals:
        refused |= dict.fromkeys(("pidfd_send_signal", "rt_sigqueueinfo", "tkill"), ERRNO | errno.EPERM)
    by_number = {NUMBERS[name]: action for name, action in refused.items() if name in NUMBERS}
    own_only = (("kill", "tgkill") if guards_signals else ()) + (("prlimit64",) if guards_limits else ())
    return _prologue() + _inspect_arguments() + _own_only(own_only) + _decide(sorted(by_number.items()))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _prologue() -> bytes:
    """Kills calls by another architecture's table: the numbers below would mean other calls there."""
    parts = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_JUMP_EQUAL, _AUDIT_ARCH[MACHINE], 1, 0),
        _instruction(_RETURN, KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_JUMP_GREATER_EQUAL, 0x4000_0000, 0, 1),  # x32 calls
        _instruction(_RETURN, KILL),
        _instruction(_JUMP_GREATER_EQUAL, _NEWEST_KNOWN + 1, 0, 1),
        _instruction(_RETURN, ERRNO | errno.ENOSYS),
    ]
    return b"".join(parts)


def _inspect_arguments() -> bytes:
    """Calls that depend on an argument: the first that names one of the given values gets the action."""
    tiocsti, tioclinux = 0x5412, 0x541C
    rlimit_core = 4
    return b"".join(
        (
            _argument_check("clone", 0, _JUMP_SET, [_NAMESPACES], KILL, ALLOW),
            _argument_check("socketpair", 0, _JUMP_EQUAL, [_AF_UNIX], ALLOW, ERRNO | errno.EACCES),
            _argument_check("ioctl", 1, _JUMP_EQUAL, [tiocsti, tioclinux], ERRNO | errno.EPERM, ALLOW),
            # 1 keeps the kernel from piping a core dump to the host's handler; see privileges
            _argument_check("setrlimit", 0, _JUMP_EQUAL, [rlimit_core], ERRNO | errno.EPERM, ALLOW),
        )
    )


def _own_only(names: tuple[str, ...]) -> bytes:
    """The process named by the first argument must be the caller, or 0: itself or its group."""
    return b"".join(
        _argument_check(name, 0, _JUMP_EQUAL, [0, _OWN_PROCESS], ALLOW, ERRNO | errno.EPERM) for name in names
    )


def _argument_check(
    name: str, argument: int, jump: int, values: list[int], matching: int, other: int
) -> bytes:
    """If this is the call `name`: `matching` where the argument meets one of the values, else `other`."""
    tests = [_instruction(jump, value, len(values) - i, 0) for i, value in enumerate(values)]
    body = [
        _instruction(_LOAD, _ARGUMENT + 8 * argument),
        *tests,
        _instruction(_RETURN, other),
        _instruction(_RETURN, matching),
    ]
    return _instruction(_JUMP_EQUAL, NUMBERS[name], 0, len(body)) + b"".join(body)


def _decide(actions: list[tuple[int, int]]) -> bytes:
    """A binary search over runs of neighbouring numbers with one action: 5 to 7 steps for each call."""
    starts: list[tuple[int, int]] = [(0, ALLOW)]
    for number, action in actions:
        if starts[-1][0] == number:
            starts.pop()
        if not starts or starts[-1][1] != action:
            starts.append((number, action))
        starts.append((number + 1, ALLOW))
    runs = [run for i, run in enumerate(starts) if i == 0 or run[1] != starts[i - 1][1]]
    return _search(runs)


def _search(runs: list[tuple[int, int]]) -> bytes:
    if len(runs) == 1:
        return _instruction(_RETURN, runs[0][1])
    middle = len(runs) // 2
    low, high = _search(runs[:middle]), _search(runs[middle:])
    skip = len(low) // 8
    if skip > 255:
        raise ValueError("a jump of more than 255 instructions does not fit into classic BPF")
    return _instruction(_JUMP_GREATER_EQUAL, runs[middle][0], skip, 0) + low + high


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class Filter:
    """A program in the memory layout that the kernel reads, so that installing it is one system call."""

    def __init__(self, program: bytes) -> None:
        self._bytes = ctypes.create_string_buffer(program, len(program))
        self._struct = _Program(len(program) // 8, ctypes.addressof(self._bytes))
        self.address = ctypes.addressof(self._struct)  # what seccomp(2) wants
        own = struct.pack("<I", _OWN_PROCESS)
        self._own_at = [at for at in range(4, len(program), 8) if program[at : at + 4] == own]

    def adapt(self) -> None:
        """Puts in the id of the process that is about to install it, where the program asks for that."""
        for at in self._own_at:
            struct.pack_into("<I", self._bytes, at, os.getpid())

    def install(self) -> None:
        """For this thread and all that it starts, for good. Needs no_new_privs."""
        self.adapt()
        syscalls.call("seccomp", 1, 0, self.address)  # SECCOMP_SET_MODE_FILTER
