"""The heap of a process on CPU: steady steps fault in no pages."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys, torch
from proctor.sft import demo_task, heap
if sys.argv[1] == "kept":
    heap.keep_freed_memory()
torch.set_num_threads(1)
model = demo_task.make_model(demo_task.make_tokenizer())
ids = torch.arange(960).view(48, 20) % 20
def learn(steps):
    for _ in range(steps):
        model(ids, labels=ids).loss.backward()
        model.zero_grad()
learn(5)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
learn(10)
faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10
print(faults, sum(int(line.split()[1]) for line in open("/proc/self/smaps") if line.startswith("AnonHuge")))
"""
THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")
grants_huge_pages = THP.exists() and "[never]" not in THP.read_text(encoding="ascii")
on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap of glibc")


def page_faults(mode: str, **environment: str) -> tuple[float, int]:
    """Page faults of a step, and the kilobytes the process has in huge pages."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", PROGRAM, mode]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command, cwd=root, env=known | environment, capture_output=True, text=True, check=True
    )
    faults, huge_kb = done.stdout.split()
    return float(faults), int(huge_kb)


@pytest.mark.slow
@on_glibc
def test_freed_tensors_are_used_again_unless_the_environment_says_otherwise():
    """A step of the demo model faults in some 1,000 pages as glibc comes, 20,000 where all is given back."""
    assert page_faults("kept")[0] < 200
    assert page_faults("kept", MALLOC_TRIM_THRESHOLD_="131072")[0] > 5_000


@pytest.mark.slow
@on_glibc
@pytest.mark.skipif(not grants_huge_pages, reason="transparent_hugepage is 'never' here")
def test_tensors_lie_in_huge_pages():
    """A step of the demo model holds some 30 MB; the environment's own settings leave glibc as it is."""
    assert page_faults("kept")[1] >= 16 * 1024
    assert page_faults("kept", MALLOC_TOP_PAD_="131072")[1] < 16 * 1024
