"""How many run at once where nobody says it: affinity, quotas of control groups, and the variable."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proctor.sandbox import processors
from proctor.sandbox.core import PoolError
from proctor.sandbox.local.host import LocalSandbox

MOUNT = "30 20 0:27 {root} {point} rw,relatime shared:9 - {kind} cgroup rw,{options}\n"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(processors.VARIABLE, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))


def host(
    folder: Path, own: str, *, root: str = "/", version: int = 2, controllers: str = "cpu,cpuacct"
) -> Path:
    """A /proc whose process is in the group `own` of a hierarchy that is mounted at folder/groups."""
    (folder / "self").mkdir()
    (folder / "groups").mkdir()
    kind, options = ("cgroup2", "nsdelegate") if version == 2 else ("cgroup", controllers)
    (folder / "self/mountinfo").write_text(
        MOUNT.format(root=root, point=folder / "groups", kind=kind, options=options)
    )
    (folder / "self/cgroup").write_text(f"0::{own}\n" if version == 2 else f"4:{controllers}:{own}\n")
    return folder


def group(folder: Path, inner: str, **files: str) -> None:
    place = folder / "groups" / inner
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name.replace("__", ".")).write_text(text + "\n")


def test_without_a_quota_all_that_may_be_used(tmp_path: Path) -> None:
    proc = host(tmp_path, "/pod")
    group(tmp_path, "pod", cpu__max="max 100000")
    assert processors.usable(proc) == 64


def test_a_quota_counts(tmp_path: Path) -> None:
    proc = host(tmp_path, "/")
    group(tmp_path, "", cpu__max="350000 100000")
    assert processors.usable(proc) == 4  # 3.5


def test_less_than_one_processor_is_one(tmp_path: Path) -> None:
    proc = host(tmp_path, "/")
    group(tmp_path, "", cpu__max="20000 100000")
    assert processors.usable(proc) == 1


def test_the_least_of_the_groups_above_counts(tmp_path: Path) -> None:
    proc = host(tmp_path, "/pods/one/container")
    group(tmp_path, "pods", cpu__max="1600000 100000")
    group(tmp_path, "pods/one", cpu__max="300000 100000")
    group(tmp_path, "pods/one/container", cpu__max="max 100000")
    assert processors.usable(proc) == 3


def test_version_one(tmp_path: Path) -> None:
    proc = host(tmp_path, "/pod", version=1)
    group(tmp_path, "", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    group(tmp_path, "pod", cpu__cfs_quota_us="250000", cpu__cfs_period_us="50000")
    assert processors.usable(proc) == 5


def test_other_controllers_of_version_one_are_not_asked(tmp_path: Path) -> None:
    proc = host(tmp_path, "/pod", version=1, controllers="memory")
    group(tmp_path, "pod", cpu__cfs_quota_us="250000", cpu__cfs_period_us="50000")
    assert processors.usable(proc) == 64


def test_a_container_that_sees_its_own_group_alone(tmp_path: Path) -> None:
    """Docker without a namespace of control groups: the mount begins at what /proc/self/cgroup names."""
    proc = host(tmp_path, "/docker/123", root="/docker/123", version=1)
    group(tmp_path, "", cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000")
    assert processors.usable(proc) == 2


def test_without_proc_affinity_counts(tmp_path: Path) -> None:
    assert processors.usable(tmp_path / "nowhere") == 64


def test_the_variable_counts_before_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processors.VARIABLE, "100")
    proc = host(tmp_path, "/")
    group(tmp_path, "", cpu__max="20000 100000")
    assert processors.usable(proc) == 100


@pytest.mark.parametrize("text", ["0", "-1", "all", "2.5", "²"])
def test_a_variable_that_is_no_count_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processors.VARIABLE, text)
    with pytest.raises(PoolError, match="PROCTOR_WORKERS must be a whole number of 1 or more"):
        processors.usable()


def test_a_sandbox_goes_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(processors.VARIABLE, "3")
    assert LocalSandbox()._slots == 3
    assert LocalSandbox(slots=5)._slots == 5


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A real group of half a processor, of either version, where we may make one."""
    for parent in (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")):
        made = parent / f"proctor-quota-{os.getpid()}"
        try:
            made.mkdir()
            if (made / "cpu.max").exists():
                (made / "cpu.max").write_text("50000 100000")
            else:
                (made / "cpu.cfs_quota_us").write_text("50000")
        except OSError:
            continue
        yield made
        made.rmdir()
        return
    pytest.skip("no control group can be made here")


def test_a_real_quota_of_half_a_processor(small_group: Path) -> None:
    code = (
        "import os, sys, pathlib; pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()));"
        "from proctor.sandbox import processors; print(processors.usable())"
    )
    environment = {name: value for name, value in os.environ.items() if name != processors.VARIABLE}
    shown = subprocess.run(
        [sys.executable, "-c", code, str(small_group)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert shown.stdout.strip() == "1"
