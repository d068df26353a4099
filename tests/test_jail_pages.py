"""Memory that is copied along with a fork: which it is, that it is, and that nothing else changes."""

import ctypes
import mmap
import os
import resource
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator

import pytest

from proctor.sandbox.local import pages, syscalls

PAGE = mmap.PAGESIZE
COUNT = 200
TOUCHED = (3, 4, 5, 17, 199)
IO_URING_SETUP = syscalls.NUMBERS.get("io_uring_setup", 0)
# The program says how often it had to be given a page.
FAULTS = """
    import os, sys
    if sys.argv[1] == "refused":  # io_uring, by a filter of four instructions
        import ctypes, struct
        from proctor.sandbox.local import seccomp, syscalls
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        code = [(0x20, 0, 0, 0), (0x15, 0, 1, {number}), (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000)]
        seccomp.Filter(b"".join(struct.pack("<HBBI", *each) for each in code)).install()
    from proctor.verifiers.core import Rollout
    from proctor.verifiers.programs.part import Code
    source = "import resource\\ndef f():\\n    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt"
    tests = "def check(candidate):\\n    assert candidate() < {{}}"
    rollouts = [
        Rollout(source, tests=tests.format(most), fields=dict(entry_point="f")) for most in range(20, 2000, 20)
    ]
    print(sum(verdict.value == 0.0 for verdict in Code(extraction="raw").verify(rollouts)) * 20)
"""


def can_have_rings() -> bool:
    try:
        os.close(pages.make_ring())
    except OSError:
        return False
    return True


with_rings = pytest.mark.skipif(not can_have_rings(), reason="this host refuses io_uring")


@pytest.fixture
def memory() -> Iterator[mmap.mmap]:
    """Pages of ours alone, which have been written to."""
    with mmap.mmap(-1, COUNT * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        memory[:] = b"p" * len(memory)
        yield memory


def region_of(memory: mmap.mmap) -> pages.Region:
    return pages.Region(ctypes.addressof(ctypes.c_char.from_buffer(memory)), len(memory), False)


def in_fork(act: Callable[[], bytes]) -> tuple[bytes, int]:
    """What `act` gives in a fork, and how many page faults it took."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        answer = act()
        count = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        os.write(writing, struct.pack("<i", count) + answer)
        os._exit(0)
    os.close(writing)
    data = b"".join(iter(lambda: os.read(reading, 1 << 16), b""))
    os.close(reading)
    os.waitpid(process, 0)
    return data[4:], struct.unpack("<i", data[:4])[0]


def write(memory: mmap.mmap, numbers: Iterable[int]) -> None:
    for number in numbers:
        memory[number * PAGE] = ord("c")


def test_pages_that_a_fork_writes_to_are_found(memory: mmap.mmap) -> None:
    region = region_of(memory)

    def act() -> bytes:
        write(memory, TOUCHED)
        return pages.snapshot(os.open("/proc/self/pagemap", os.O_RDONLY), [region])

    found = pages.own([region], in_fork(act)[0])
    expected = [(3, 3), (17, 1), (199, 1)]
    assert found == [pages.Region(region.start + at * PAGE, n * PAGE, False) for at, n in expected]


def test_a_snapshot_that_is_cut_is_no_answer(memory: mmap.mmap) -> None:
    with pytest.raises(OSError, match="cut"):
        pages.own([region_of(memory)], b"Traceback")


def test_writable_memory_is_private_memory(memory: mmap.mmap) -> None:
    proc = os.open("/proc", os.O_PATH)
    shared = mmap.mmap(-1, PAGE)
    regions = pages.writable(proc)
    os.close(proc)
    inside = [region_of(each).start for each in (memory, shared)]
    covered = [any(r.start <= start < r.start + r.size for r in regions) for start in inside]
    assert covered == [True, False]


@with_rings
def test_registered_pages_come_with_the_fork_and_stay_apart(memory: mmap.mmap) -> None:
    def act() -> bytes:
        write(memory, range(COUNT))
        return bytes(memory[:2])

    plain, faults = in_fork(act)
    ring = pages.make_ring()
    pages.copy_with_forks(ring, [region_of(memory)])
    copied, fewer = in_fork(act)
    assert plain == copied == b"cp"
    assert bytes(memory[:]) == b"p" * len(memory)  # what the fork wrote is not ours
    assert faults >= COUNT > 20 > fewer
    os.close(ring)


@with_rings
def test_a_program_is_given_its_pages_with_the_fork_or_where_that_is_refused_one_by_one() -> None:
    script = textwrap.dedent(FAULTS.format(number=IO_URING_SETUP))
    faults = {
        mode: int(
            subprocess.run(
                [sys.executable, "-c", script, mode], capture_output=True, text=True, timeout=120, check=True
            ).stdout
        )
        for mode in ("granted", "refused")
    }
    assert 0 < faults["granted"] < 0.7 * faults["refused"] < 1400, faults
