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
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10)
"""


def page_faults(mode: str, **environment: str) -> float:
    known = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", PROGRAM, mode]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command, cwd=root, env=known | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the heap of glibc")
def test_freed_tensors_are_used_again_unless_the_environment_says_otherwise():
    """A step of the demo model faults in some 1,000 pages as glibc comes, 20,000 where all is given back."""
    assert page_faults("kept") < 200
    assert page_faults("kept", MALLOC_TRIM_THRESHOLD_="131072") > 5_000
