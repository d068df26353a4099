"""Parts of the jail on their own: the filter's decisions, frames, control group paths, outcomes."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor.sandbox import wire
from proctor.sandbox.core import Limits, Outcome
from proctor.sandbox.local import cgroup, outcome, seccomp, syscalls
from proctor.sandbox.local.orders import Answer
from proctor.sandbox.local.running import Ask, Run

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
ALLOW, KILL = seccomp.ALLOW, seccomp.KILL


def decide(program: bytes, number: int, architecture: int, *arguments: int) -> int:
    """What the kernel would: runs the few instructions of classic BPF that the filter is made of."""
    words = [number, architecture, 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFFFFFF, argument >> 32]
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("<HBBI", program, 8 * position)
        position += 1
        if code == 0x20:
            accumulator = words[value // 4]
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[
                code
            ]
            position += if_true if holds else if_false


@pytest.fixture(params=ARCHITECTURES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The filter as it is on each architecture, wherever the test runs."""
    name: str = request.param
    column = ARCHITECTURES[name][0]
    numbers = {call: pair[column] for call, pair in syscalls._TABLE.items() if pair[column] is not None}
    monkeypatch.setattr(seccomp, "NUMBERS", numbers)
    monkeypatch.setattr(seccomp, "MACHINE", name)
    return name


def answer(machine: str, call: str, *arguments: int, **guards: bool) -> int:
    program = seccomp.submission_filter(**{"guards_signals": False, "guards_limits": False, **guards})
    return decide(program, seccomp.NUMBERS[call], ARCHITECTURES[machine][1], *arguments)


def test_every_listed_call_gets_its_answer(machine: str) -> None:
    for call in seccomp.KILLED:
        assert call not in seccomp.NUMBERS or answer(machine, call) == KILL, call
    for call in seccomp.REFUSED:
        assert call not in seccomp.NUMBERS or answer(machine, call) == seccomp.ERRNO | errno.EPERM, call
    for call in seccomp.ABSENT:
        assert call not in seccomp.NUMBERS or answer(machine, call) == seccomp.ERRNO | errno.ENOSYS, call


def test_no_other_call_is_touched(machine: str) -> None:
    listed = {*seccomp.KILLED, *seccomp.REFUSED, *seccomp.ABSENT, "socket"}
    by_argument = {"clone", "socketpair", "ioctl", "setrlimit"}
    program = seccomp.submission_filter(guards_signals=False, guards_limits=False)
    numbers = {seccomp.NUMBERS[call] for call in listed | by_argument if call in seccomp.NUMBERS}
    for number in set(range(463)) - numbers:
        assert decide(program, number, ARCHITECTURES[machine][1]) == ALLOW, number


@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("clone", (17,), ALLOW),
        ("clone", (0x10000000 | 17,), KILL),
        ("clone", (0x20000000 | 17,), KILL),
        ("clone", (0x00020000,), KILL),
        ("clone", (0x003D0F00,), ALLOW),  # what a thread is made with
        ("socket", (2, 1), seccomp.ERRNO | errno.EACCES),
        ("socketpair", (1, 1), ALLOW),
        ("socketpair", (2, 1), seccomp.ERRNO | errno.EACCES),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), seccomp.ERRNO | errno.EPERM),
        ("setrlimit", (7,), ALLOW),
        ("setrlimit", (4,), seccomp.ERRNO | errno.EPERM),
    ],
)
def test_some_calls_depend_on_an_argument(
    machine: str, call: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert answer(machine, call, *arguments) == expected


def test_foreign_and_unknown_calls(machine: str) -> None:
    program = seccomp.submission_filter(guards_signals=False, guards_limits=False)
    assert decide(program, 0, 0x40000003) == KILL  # 32-bit x86, where 0 is another call
    assert decide(program, 0x40000000 + 39, ARCHITECTURES[machine][1]) == KILL  # x32
    assert decide(program, 463, ARCHITECTURES[machine][1]) == seccomp.ERRNO | errno.ENOSYS


def test_without_a_process_namespace_signals_reach_only_oneself(machine: str) -> None:
    own = seccomp._OWN_PROCESS  # what the filter holds until it is installed
    guarded = {"guards_signals": True, "guards_limits": True}
    for call in ("kill", "tgkill", "prlimit64"):
        assert answer(machine, call, own, **guarded) == ALLOW
        assert answer(machine, call, 0, **guarded) == ALLOW
        assert answer(machine, call, own + 1, **guarded) == seccomp.ERRNO | errno.EPERM
    assert answer(machine, "pidfd_send_signal", **guarded) == seccomp.ERRNO | errno.EPERM


def ended_run(**facts: Any) -> Run:
    """A run whose process was killed, or has exited, with `status` as wait gives it."""
    header = {"argv": facts.pop("argv", []), "collect": []}
    status = facts.pop("status", 1 << 8)
    run = Run(Ask(header, b"", Limits(cpu_s=2)), None, -1, -1)  # type: ignore[arg-type]  # no descriptors
    run.answer = Answer(status, 0.1, 1000, *facts.pop("free", (-1, -1)))
    for name, value in facts.items():
        setattr(run, name, value)
    return run


KILLED, SYSTEM_CALL, FILE_SIZE = 9, 31, 25


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"status": 0}, Outcome.OK),
        ({"status": 3 << 8}, Outcome.RUNTIME_ERROR),
        ({"status": KILLED}, Outcome.RUNTIME_ERROR),
        ({"status": KILLED, "kills": 1}, Outcome.MEMORY_LIMIT),
        ({"status": 0, "kills": 1}, Outcome.MEMORY_LIMIT),  # a child was, whatever became of the parent
        ({"status": KILLED, "cpu_s": 2.1}, Outcome.CPU_LIMIT),
        ({"status": SYSTEM_CALL}, Outcome.SECURITY_VIOLATION),
        ({"status": FILE_SIZE}, Outcome.FILE_LIMIT),
        ({"status": KILLED, "stopped_for": Outcome.WALL_LIMIT}, Outcome.WALL_LIMIT),
        ({"status": KILLED, "stopped_for": Outcome.WALL_LIMIT, "refusals": 3}, Outcome.PROCESS_LIMIT),
        ({"status": KILLED, "stopped_for": Outcome.OUTPUT_LIMIT, "refusals": 3}, Outcome.OUTPUT_LIMIT),
        ({"status": KILLED, "decided": True}, Outcome.OK),  # ended together with its exam
        ({"status": 1 << 8, "decided": True}, Outcome.RUNTIME_ERROR),  # had ended before
        ({"raised": {"type": "MemoryError", "errno": None}}, Outcome.MEMORY_LIMIT),
        ({"raised": {"type": "OSError", "errno": errno.ENOSPC}}, Outcome.FILE_LIMIT),
        ({"raised": {"type": "BlockingIOError", "errno": errno.EAGAIN}}, Outcome.PROCESS_LIMIT),
        ({"free": (0, 5)}, Outcome.FILE_LIMIT),
        ({"free": (5, 0)}, Outcome.FILE_LIMIT),
        ({"free": (5, 5)}, Outcome.RUNTIME_ERROR),
        ({"refusals": 1}, Outcome.PROCESS_LIMIT),
        ({"memory_mb": 1100.0}, Outcome.MEMORY_LIMIT),  # the watch had not seen it yet
        ({"status": KILLED, "memory_mb": 1100.0}, Outcome.MEMORY_LIMIT),
        ({"status": KILLED, "memory_mb": 1000.0}, Outcome.RUNTIME_ERROR),
        ({"status": SYSTEM_CALL, "memory_mb": 1100.0}, Outcome.SECURITY_VIOLATION),
        ({"stderr": bytearray(b"thrown: 'std::bad_alloc'")}, Outcome.MEMORY_LIMIT),
        ({"stderr": bytearray(b"sh: 1: Cannot fork")}, Outcome.PROCESS_LIMIT),
        ({"argv": ["x"], "ended": {"exit_code": 0, "signal": None}, "status": 0}, Outcome.OK),
        ({"argv": ["x"], "ended": {"exit_code": None, "signal": 31}, "status": 159 << 8}, Outcome.SECURITY_VIOLATION),
    ],
)  # fmt: skip
def test_an_outcome_follows_from_the_facts(facts: dict[str, Any], expected: Outcome) -> None:
    assert outcome.decide(ended_run(**facts)) is expected


@given(
    frames=st.lists(
        st.tuples(st.dictionaries(st.text(max_size=5), st.integers() | st.text()), st.binary(max_size=300)),
        max_size=4,
    ),
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_frames_come_back_whatever_the_pieces(
    frames: list[tuple[dict[str, int | str], bytes]], cuts: list[int]
) -> None:
    stream = b"".join(wire.pack(header, block) for header, block in frames)
    decoder, found, start = wire.Decoder(), [], 0
    while start < len(stream):
        size = cuts[start % len(cuts)]
        found += decoder.feed(stream[start : start + size])
        start += size
    assert found == frames


@given(st.binary(min_size=8, max_size=200))
def test_nonsense_is_an_error_or_waits_for_more(data: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "MAX_HEADER", 1000)
        try:
            frames = list(wire.Decoder(max_block=1000).feed(data))
        except ValueError:  # WireError, bad JSON, bad UTF-8
            return
        assert all(len(block) <= 1000 for _, block in frames)


def host_folders(tmp_path: Path, mountinfo: str, own: str) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(mountinfo.format(root=tmp_path))
    (tmp_path / "proc/self/cgroup").write_text(own)
    return tmp_path / "proc"


def test_version_1_has_a_folder_for_each_controller(tmp_path: Path) -> None:
    mounts = "".join(
        f"3{i} 31 0:3{i} / {{root}}/{name} rw - cgroup cgroup rw,{name}\n"
        for i, name in enumerate(("memory", "pids", "cpu,cpuacct"))
    )
    proc = host_folders(tmp_path, mounts, "4:memory:/a\n8:pids:/b\n2:cpu,cpuacct:/\n")
    for folder in ("memory/a", "pids/b", "cpu,cpuacct"):
        (tmp_path / folder).mkdir(parents=True)
    delegation = cgroup.find_delegation(proc)
    assert delegation is not None
    assert delegation.files is cgroup.V1
    assert [str(Path(base).parent.relative_to(tmp_path)) for base in delegation.bases] == [
        "memory/a",
        "pids/b",
        "cpu,cpuacct",
    ]
    delegation.close()
    assert list(tmp_path.glob("**/proctor-*")) == []


def test_without_a_controller_nothing_is_made(tmp_path: Path) -> None:
    mounts = "30 31 0:3 / {root}/memory rw - cgroup cgroup rw,memory\n"
    proc = host_folders(tmp_path, mounts, "4:memory:/\n")
    (tmp_path / "memory").mkdir()
    assert cgroup.find_delegation(proc) is None
    assert list(tmp_path.glob("**/proctor-*")) == []


def test_version_2_needs_its_controllers_passed_on(tmp_path: Path) -> None:
    """A plain folder takes no "+memory": as where the kernel has the controllers in version 1."""
    proc = host_folders(
        tmp_path, "30 31 0:3 / {root}/unified rw - cgroup2 cgroup2 rw\n", "0::/user/session\n"
    )
    (tmp_path / "unified/user/session").mkdir(parents=True)
    assert cgroup.find_delegation(proc) is None
    assert list(tmp_path.glob("**/proctor-*")) == []


def test_the_usage_of_a_version_2_group(tmp_path: Path) -> None:
    files = {
        "memory.max": "max\n",
        "memory.swap.max": "max\n",
        "memory.peak": "1048576\n",
        "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 0\n",
        "pids.max": "max\n",
        "pids.events": "max 2\n",
        "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    group = cgroup.Group(cgroup.V2, [str(tmp_path)])
    group.usage()
    group.begin(memory_mb=100, processes=20)
    assert (tmp_path / "memory.max").read_text().startswith(str((100 + 16) << 20))
    assert (tmp_path / "memory.swap.max").read_text().startswith("0")
    assert (tmp_path / "pids.max").read_text().startswith("21")
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 1750000\nuser_usec 1\n")
    used = group.usage()
    assert (used.cpu_s, used.kills, used.victims, used.refusals) == (0.25, 0, 2, 0)
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 2\noom_kill 3\n")
    used = group.usage()
    assert (used.kills, used.victims) == (3, 0)  # its own limit was met as well
    group.remove()
