"""Landlock: file access by path, TCP ports, and since ABI 6 signals and abstract sockets, without privileges.

Covers: a submission reads and executes the minimal root, writes its work folder and four devices, and
nothing else, even where the mount namespace should fail or is not to be had.
Does not cover: stat, chmod and chdir, which Landlock has no right for; descriptors that were open before.

Source: Linux Documentation/userspace-api/landlock.rst; include/uapi/linux/landlock.h.
"""

# No pathlib: it would fatten the memory that submissions are forked from.
# ruff: noqa: PTH112

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence

from proctor.sandbox.local import syscalls

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_ALL_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_RIGHTS = (1 << 16) - 1  # since ABI 5: ioctl on devices
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15  # what a rule on a file may name
SCOPES_SIGNALS = 6  # the ABI since which a domain can be kept from signalling others
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2


def abi() -> int:
    """Version of the kernel's Landlock; 0 where it has none or was started without it."""
    try:
        return syscalls.call("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def rights(version: int) -> int:
    return _ALL_RIGHTS_BY_ABI.get(version, _ALL_RIGHTS)


def make_ruleset(readable: Sequence[str], writable: Sequence[str], listable: Sequence[str] = ()) -> int:
    """A descriptor of a ruleset: what lies under `readable` may be read and run, under `writable` all.

    TCP, and signals and abstract sockets out of the jail, are refused as far as the kernel's ABI goes.
    `listable`: folders that may be listed, they and all below. Raises OSError where there is no Landlock.
    """
    version = abi()
    handled = rights(version)
    attributes = struct.pack("<Q", handled)
    if version >= 4:
        attributes += struct.pack("<Q", _BIND_TCP | _CONNECT_TCP)
    if version >= SCOPES_SIGNALS:
        attributes += struct.pack("<Q", _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    ruleset = syscalls.call("landlock_create_ruleset", buffer, len(attributes), 0)
    for path in listable:
        _allow(ruleset, path, _READ_DIR)
    for path in readable:
        _allow(ruleset, path, _EXECUTE | _READ_FILE | _READ_DIR)
    for path in writable:
        _allow(ruleset, path, handled)
    return ruleset


def _allow(ruleset: int, path: str, access: int) -> None:
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(path):
            access &= _FILE_RIGHTS
        rule = struct.pack("<Qi", access & rights(abi()), folder)
        buffer = ctypes.create_string_buffer(rule, len(rule))
        syscalls.call("landlock_add_rule", ruleset, 1, buffer, 0)  # LANDLOCK_RULE_PATH_BENEATH
    finally:
        os.close(folder)


def restrict(ruleset: int) -> None:
    """For this thread and all that it starts, for good. Needs no_new_privs."""
    syscalls.call("landlock_restrict_self", ruleset, 0)
