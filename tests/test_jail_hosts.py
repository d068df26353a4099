"""Hosts that are not root's, or have no user namespaces: the jail is as tight there, or refuses."""

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOBODY = 65534
SCRIPT = """
    import sys
    from proctor.sandbox.core import IsolationError, Program
    from proctor.sandbox.local.host import LocalSandbox
    with LocalSandbox(1, sys.argv[1]) as sandbox:
        try:
            found = sandbox.run(Program(argv=("/bin/sh", "-c", "cat; id -u; ls -a"), stdin=b"in "))
        except IsolationError as error:
            sys.exit(f"refused: {error}")
        print(found.outcome.value, found.isolation, found.stdout.split())
"""
# Root of a user namespace with all identities, in which no further one can be made.
WITHOUT_USER_NAMESPACES = """
    import ctypes, os, sys
    told, tell = os.pipe()
    go, give = os.pipe()
    child = os.fork()
    if child == 0:
        assert ctypes.CDLL(None).unshare(0x10000000) == 0
        os.write(tell, b"x")
        os.read(go, 1)
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        with open("/proc/sys/user/max_user_namespaces", "w") as limit:
            limit.write("0")
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    os.read(told, 1)
    for kind in ("uid", "gid"):
        with open(f"/proc/{child}/{kind}_map", "w") as extents:
            extents.write("0 0 2000000000")
    os.write(give, b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
# Each takes its memory after the first look of the watch and ends before the next, with code 0.
PEAKS = """
    import sys
    from proctor.sandbox.core import Limits, Program
    from proctor.sandbox.local.host import LocalSandbox
    with LocalSandbox(1, sys.argv[1]) as sandbox:
        for size_mb in (10, 30):
            source = f"import os, time; time.sleep(0.015); b'x' * ({size_mb} << 20); os._exit(0)"
            program = Program(
                entry="tests.jail_programs:execute", payload=source.encode(), limits=Limits(memory_mb=16)
            )
            print(sandbox.run(program).outcome.value)
"""
THREADS = """
    import sys
    from proctor.sandbox.core import Limits, Program
    from proctor.sandbox.local.host import LocalSandbox
    threads = "[threading.Thread(target=time.sleep, args=(1,)).start() for _ in range({})]"
    source = f"import threading, time; {threads}; time.sleep(0.2)"
    with LocalSandbox(1, sys.argv[1]) as sandbox:
        for count in (5, 20):
            program = Program(
                entry="tests.jail_programs:execute",
                payload=source.format(count).encode(),
                limits=Limits(processes=10),
            )
            print(sandbox.run(program).outcome.value)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def run_as(user: int | None, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@functools.cache
def python_for_nobody() -> str:
    """An interpreter that a user without rights can run; this one may lie in a home folder."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        probe = "import sys, ctypes; assert sys.version_info >= (3, 10); import proctor.sandbox.local.host"
        try:
            if run_as(NOBODY, [python, "-c", probe]).returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip("no interpreter here that an unprivileged user can run")


@as_root
@pytest.mark.parametrize("isolation", ["full", "no-landlock"])
def test_a_user_without_rights_has_the_whole_jail(isolation: str) -> None:
    done = run_as(NOBODY, [python_for_nobody(), "-c", textwrap.dedent(SCRIPT), isolation])
    assert done.stdout == f"ok {isolation} [b'in', b'1000', b'.', b'..']\n", done.stderr


@as_root
@pytest.mark.parametrize("isolation", ["no-namespaces", "process"])
def test_a_user_without_rights_has_the_weaker_jails(isolation: str) -> None:
    done = run_as(NOBODY, [python_for_nobody(), "-c", textwrap.dedent(SCRIPT), isolation])
    assert done.stdout == f"ok {isolation} [b'in', b'{NOBODY}', b'.', b'..']\n", done.stderr


@as_root
def test_root_has_the_whole_jail_without_user_namespaces() -> None:
    wrapper = [sys.executable, "-c", textwrap.dedent(WITHOUT_USER_NAMESPACES)]
    done = run_as(None, [*wrapper, "-c", textwrap.dedent(SCRIPT), "full"])
    words = done.stdout.split()
    assert words[:3] == ["ok", "full", "[b'in',"], done.stderr
    assert int(words[3].strip("b',")) >= 1_878_000_000  # an identity of the host's that owns nothing


@as_root
def test_a_user_is_refused_without_user_namespaces() -> None:
    wrapper = [sys.executable, "-c", textwrap.dedent(WITHOUT_USER_NAMESPACES)]
    become = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); "
    command = [python_for_nobody(), "-c", textwrap.dedent(SCRIPT), "full"]
    script = f"{become}os.execv({command[0]!r}, {command!r})"
    done = run_as(None, [*wrapper, "-c", script])
    assert "refused: isolation 'full' cannot be set up here" in done.stderr
    assert "user.max_user_namespaces = 0" in done.stderr
    assert "isolation='no-namespaces'" in done.stderr


@as_root
@pytest.mark.parametrize("isolation", ["full", "process"])
def test_a_peak_between_two_looks_counts_where_no_control_group_does(isolation: str) -> None:
    done = run_as(NOBODY, [python_for_nobody(), "-c", textwrap.dedent(PEAKS), isolation])
    assert done.stdout.split() == ["ok", "memory_limit"], done.stderr


@as_root
@pytest.mark.parametrize("isolation", ["full", "process"])
def test_threads_count_where_no_control_group_does(isolation: str) -> None:
    done = run_as(NOBODY, [python_for_nobody(), "-c", textwrap.dedent(THREADS), isolation])
    assert done.stdout.split() == ["ok", "process_limit"], done.stderr
