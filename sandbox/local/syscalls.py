"""Linux system calls that Python has no function for, by ctypes: no compiler, no extension module.

The numbers are those of the kernel's own tables (arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h, which aarch64 uses). None: the architecture does not have the call.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import partial

MACHINE = os.uname().machine

# name: (x86_64, aarch64)
_TABLE: dict[str, tuple[int | None, int | None]] = {
    "accept": (43, 202), "accept4": (288, 242), "acct": (163, 89), "add_key": (248, 217),
    "adjtimex": (159, 171), "bind": (49, 200), "bpf": (321, 280), "capget": (125, 90),
    "capset": (126, 91), "chroot": (161, 51),
    "clock_adjtime": (305, 266), "clock_settime": (227, 112), "clone": (56, 220), "clone3": (435, 435),
    "close_range": (436, 436), "connect": (42, 203), "create_module": (174, None),
    "delete_module": (176, 106), "fanotify_init": (300, 262), "fanotify_mark": (301, 263),
    "finit_module": (313, 273), "fsconfig": (431, 431), "fsmount": (432, 432), "fsopen": (430, 430),
    "fspick": (433, 433), "get_kernel_syms": (177, None), "get_mempolicy": (239, 236),
    "init_module": (175, 105), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425), "ioctl": (16, 29), "ioperm": (173, None), "iopl": (172, None),
    "ioprio_set": (251, 30), "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104),
    "keyctl": (250, 219), "kill": (62, 129), "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444), "landlock_restrict_self": (446, 446), "listen": (50, 201),
    "lookup_dcookie": (212, 18), "mbind": (237, 235), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "migrate_pages": (256, 238), "mknod": (133, None), "mknodat": (259, 33),
    "modify_ldt": (154, None), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "move_pages": (279, 239), "mq_open": (240, 180), "mq_unlink": (241, 181), "msgctl": (71, 187),
    "msgget": (68, 186), "msgrcv": (70, 188), "msgsnd": (69, 189), "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "prctl": (157, 167),
    "prlimit64": (302, 261), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "query_module": (178, None), "quotactl": (179, 60), "quotactl_fd": (443, 443), "reboot": (169, 142),
    "request_key": (249, 218), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "sched_setaffinity": (203, 122), "sched_setattr": (314, 274), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "seccomp": (317, 277), "semctl": (66, 191), "semget": (64, 190),
    "semop": (65, 193), "semtimedop": (220, 192), "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450), "setdomainname": (171, 162), "sethostname": (170, 161),
    "setgroups": (116, 159), "setns": (308, 268), "setresgid": (119, 149),
    "setresuid": (117, 147), "setsid": (112, 157),
    "setrlimit": (160, 164), "setpriority": (141, 140), "settimeofday": (164, 170), "shmat": (30, 196),
    "shmctl": (31, 195), "shmdt": (67, 197), "shmget": (29, 194), "socket": (41, 198),
    "socketpair": (53, 199), "swapoff": (168, 225), "swapon": (167, 224), "sysfs": (139, None),
    "syslog": (103, 116), "tgkill": (234, 131), "tkill": (200, 130), "umount2": (166, 39),
    "unshare": (272, 97), "uselib": (134, None), "userfaultfd": (323, 282), "ustat": (136, None),
    "vhangup": (153, 58), "_sysctl": (156, None),
}  # fmt: skip

_COLUMN = {"x86_64": 0, "aarch64": 1, "arm64": 1}.get(MACHINE)
NUMBERS: dict[str, int] = (
    {}
    if _COLUMN is None
    else {name: number for name, pair in _TABLE.items() if (number := pair[_COLUMN]) is not None}
)

# PyDLL keeps the interpreter's lock: after a raw clone the child has one thread, which must hold it.
LIBC = ctypes.PyDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long

# include/uapi/linux/sched.h
CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
CLONE_NEWTIME = 0x80

# include/uapi/linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
AT_RECURSIVE = 0x8000
AT_FDCWD = -100

# include/uapi/linux/prctl.h, capability.h, securebits.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 1, 4, 8, 24
PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 28, 36, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
SECURE_ALL_LOCKED = 0xEB  # no root, keep no capabilities, raise none as ambient; every bit locked


def call(name: str, *args: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """The system call's result. Raises OSError as Python's own wrappers do; ENOSYS where there is none."""
    number = NUMBERS.get(name)
    if number is None:
        raise OSError(errno.ENOSYS, f"{name}: not known on {MACHINE}")
    converted = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result: int = LIBC.syscall(ctypes.c_long(number), *converted)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, *args: int) -> int:
    return call("prctl", option, *args, *([0] * (4 - len(args))))


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    call("mount", source.encode(), target.encode(), kind.encode(), flags, options.encode())


def prepare(name: str, *args: int) -> Callable[[], int]:
    """The call with its arguments made ready. Gives -1 on an error, with ctypes.get_errno()."""
    number = NUMBERS.get(name)
    if number is None:
        raise OSError(errno.ENOSYS, f"{name}: not known on {MACHINE}")
    return partial(LIBC.syscall, *(ctypes.c_long(word) for word in (number, *args)))


def prepare_clone(flags: int) -> Callable[[], int]:
    """A fork with namespaces: 0 in the child. Single-threaded callers only: no at-fork handler runs."""
    raw = prepare("clone", flags | 17, 0, 0, 0, 0)  # SIGCHLD

    def clone() -> int:
        result = raw()
        if result == -1:
            code = ctypes.get_errno()
            raise OSError(code, f"clone: {os.strerror(code)}")
        return result

    return clone


def clone(flags: int) -> int:
    return prepare_clone(flags)()
