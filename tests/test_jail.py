"""The local jail: what programs get, what comes back, exams, concurrency."""

import os
import threading
from collections.abc import Iterator
from itertools import islice, repeat
from pathlib import Path

import pytest

from proctor.sandbox.core import Limits, Outcome, Program, SandboxError
from proctor.sandbox.local.host import LocalSandbox
from proctor.verifiers.core import Status
from proctor.verifiers.programs.rows import fault

PROGRAMS = "tests.jail_programs"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[LocalSandbox]:
    with LocalSandbox(2) as started:
        yield started


def shell(script: str, **fields: object) -> Program:
    return Program(argv=("/bin/sh", "-c", script), **fields)  # type: ignore[arg-type]


def entry(name: str, payload: bytes = b"", **fields: object) -> Program:
    return Program(entry=f"{PROGRAMS}:{name}", payload=payload, **fields)  # type: ignore[arg-type]


def test_an_entry_reports_and_prints(sandbox: LocalSandbox) -> None:
    found = sandbox.run(entry("echo", b"\x00 payload"))
    assert (found.outcome, found.exit_code, found.report) == (Outcome.OK, 0, b"\x00 payload")
    assert (found.stdout, found.stderr, found.isolation) == (b"to stdout\n", b"to stderr\n", "full")


def test_a_large_payload_and_report_pass_through(sandbox: LocalSandbox) -> None:
    payload = os.urandom(5 << 20)
    assert sandbox.run(entry("echo", payload)).report == payload


def test_a_command_gets_files_stdin_and_environment(sandbox: LocalSandbox) -> None:
    script = 'cat; cat dir/a.txt; echo "$X $HOME"; pwd; exit 7'
    program = shell(script, stdin=b"in ", files={"dir/a.txt": b"file\n"}, env={"X": "x"})
    found = sandbox.run(program)
    assert found.stdout == b"in file\nx /box/tmp\n/box/tmp\n"
    assert (found.outcome, found.exit_code) == (Outcome.RUNTIME_ERROR, 7)


def test_a_command_hands_files_back_but_no_links_or_pipes(sandbox: LocalSandbox) -> None:
    script = "echo new > out; ln -s /etc/passwd link; mkfifo pipe; mkdir folder"
    found = sandbox.run(shell(script, collect=("out", "link", "pipe", "folder", "missing")))
    assert dict(found.files) == {"out": b"new\n"}


def test_a_command_that_is_not_there_says_so(sandbox: LocalSandbox) -> None:
    found = sandbox.run(Program(argv=("/no/such/program",)))
    assert (found.outcome, found.exit_code) == (Outcome.RUNTIME_ERROR, 127)
    assert "/no/such/program" in found.detail


def test_a_signal_of_its_own_is_told(sandbox: LocalSandbox) -> None:
    found = sandbox.run(shell("kill -TERM $$"))
    assert (found.outcome, found.signal, found.exit_code) == (Outcome.RUNTIME_ERROR, 15, None)


def test_an_unknown_entry_blames_us(sandbox: LocalSandbox) -> None:
    found = sandbox.run(entry("no_such_function"))
    assert found.outcome is Outcome.INTERNAL_ERROR
    assert "no_such_function" in found.detail


def test_nothing_of_one_run_is_there_for_the_next(sandbox: LocalSandbox) -> None:
    source = (
        b"import os, builtins, random; builtins.X = 1; os.environ['X'] = '1'; open('left', 'w').write('x')"
    )
    assert sandbox.run(entry("execute", source)).outcome is Outcome.OK
    probe = b"import os, builtins; print(os.listdir('.'), hasattr(builtins, 'X'), dict(os.environ))"
    for _ in range(4):
        assert sandbox.run(entry("execute", probe)).stdout == b"[] False {}\n"


def test_runs_do_not_depend_on_luck(sandbox: LocalSandbox) -> None:
    """Random numbers and the order of sets are equal in all runs, in another sandbox too."""
    source = b"import random; print(random.random(), list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}))"
    seen = {found.stdout for found in sandbox.run_many([entry("execute", source)] * 4)}
    with LocalSandbox(1) as other:
        seen.add(other.run(entry("execute", source)).stdout)
    assert len(seen) == 1


def test_many_threads_get_their_own_results(sandbox: LocalSandbox) -> None:
    results: dict[int, bytes] = {}

    def ask(index: int) -> None:
        results[index] = sandbox.run(entry("echo", str(index).encode())).report

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {index: str(index).encode() for index in range(24)}


def test_run_many_keeps_the_order(sandbox: LocalSandbox) -> None:
    programs = [shell(f"sleep 0.{9 - index}; echo {index}") for index in range(4)]
    assert [found.stdout for found in sandbox.run_many(programs)] == [b"0\n", b"1\n", b"2\n", b"3\n"]


def test_a_program_is_either_a_command_or_an_entry(sandbox: LocalSandbox) -> None:
    with pytest.raises(ValueError, match="either argv or entry"):
        sandbox.run(Program())


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
def test_files_stay_within_the_work_folder(sandbox: LocalSandbox, name: str) -> None:
    with pytest.raises(ValueError, match="not a path within the work folder"):
        sandbox.run(shell("true", files={name: b""}))


def test_an_exam_is_judged_by_the_examiner(sandbox: LocalSandbox) -> None:
    exam = sandbox.exam(entry("examine", b"T"), entry("add"))
    assert exam.examiner.report == b"right payload=T sitting=1"
    assert (exam.examiner.outcome, exam.candidate.outcome) == (Outcome.OK, Outcome.OK)


def test_a_candidate_cannot_report_for_the_examiner(sandbox: LocalSandbox) -> None:
    forger = b"""
channel.report(b'right')
for fd in range(256):
    try: __import__('os').write(fd, b'right')
    except OSError: pass
"""
    exam = sandbox.exam(entry("examine", b"T"), entry("add", forger))
    assert exam.examiner.report == b"wrong payload=T sitting=1"


def test_a_candidate_that_leaves_is_seen_by_the_examiner(sandbox: LocalSandbox) -> None:
    exam = sandbox.exam(entry("examine", b"T"), entry("add", b"import os; os._exit(0)"))
    assert exam.examiner.report == b"wrong payload=T sitting=1"
    assert exam.candidate.exit_code == 0


def test_an_examiner_is_kept_for_candidates_of_its_key(sandbox: LocalSandbox) -> None:
    with LocalSandbox(1) as single:
        pairs = [(entry("examine", b"T", keep="task"), entry("add"))] * 5
        reports = [exam.examiner.report for exam in single.exam_many(pairs)]
        assert reports == [b"right payload=T sitting=%d" % n for n in range(1, 6)]
        other = single.exam(entry("examine", b"U", keep="other"), entry("add"))
        assert other.examiner.report == b"right payload=U sitting=1"


def test_a_kept_examiner_may_change_its_payload(sandbox: LocalSandbox) -> None:
    with LocalSandbox(1) as single:
        pairs = [(entry("examine", payload, keep="all"), entry("add")) for payload in (b"T", b"U", b"U")]
        reports = [exam.examiner.report for exam in single.exam_many(pairs)]
        assert reports == [
            b"right payload=%s sitting=%d" % (p, n) for p, n in ((b"T", 1), (b"U", 2), (b"U", 3))
        ]


def test_a_report_is_noticed_by_a_busy_runner(sandbox: LocalSandbox) -> None:
    """Also where it is read while the runner looks after what has been running for a while."""
    limits = Limits(wall_s=8, cpu_s=8)
    flood = threading.Thread(target=sandbox.run, args=(shell("yes >&2", limits=limits),))
    candidates = [entry("add", b"import time; time.sleep(0.0%d)" % n) for n in range(10, 90)]
    flood.start()
    exams = sandbox.exam_many(
        [(entry("examine", b"T", limits=limits), candidate) for candidate in candidates]
    )
    flood.join()
    assert {exam.examiner.outcome for exam in exams} == {Outcome.OK}


def test_exams_are_taken_as_there_is_room_and_given_as_they_end() -> None:
    with LocalSandbox(1) as single:
        exams = single.exams(repeat((entry("examine", b"T", keep="k"), entry("add"))))
        reports = [exam.examiner.report for exam in islice(exams, 3)]
    assert reports == [b"right payload=T sitting=%d" % n for n in (1, 2, 3)]


def test_under_full_load_the_sides_of_an_exam_stay_on_one_processor() -> None:
    """All processors are used; what comes alone, or is a command, may go where it likes."""
    processors = os.sched_getaffinity(0)
    look = entry("add", b"import os; print(*os.sched_getaffinity(0))")
    with LocalSandbox() as full:
        exams = full.exam_many([(entry("examine", b"T", keep="k"), look)] * 20 * len(processors))
        seen = [{int(word) for word in exam.candidate.stdout.split()} for exam in exams]
        assert sum(len(each) == 1 for each in seen) > len(seen) / 2
        assert set.union(*(each for each in seen if len(each) == 1)) == processors
        alone = full.exam(entry("examine", b"T", keep="k"), look)
        commands = full.run_many([shell("nproc")] * 3 * len(processors))
    assert {int(word) for word in alone.candidate.stdout.split()} == processors
    assert {int(found.stdout) for found in commands} == {len(processors)}


def test_an_examiner_that_does_not_stay_is_replaced(sandbox: LocalSandbox) -> None:
    pairs = [(entry("examine_once", keep="k"), entry("add"))] * 6
    assert {exam.examiner.report for exam in sandbox.exam_many(pairs)} == {b"got 5"}


def test_an_examiner_that_dies_leaves_no_verdict(sandbox: LocalSandbox) -> None:
    exam = sandbox.exam(entry("examine_and_die"), entry("wait_for_end"))
    assert (exam.examiner.report, exam.examiner.exit_code) == (b"", 3)
    assert exam.examiner.outcome is Outcome.RUNTIME_ERROR


def test_a_candidate_whose_jail_was_never_closed_is_no_verdict(sandbox: LocalSandbox) -> None:
    """Its examiner, who only sees it gone, may report before the slot does: that is not to count."""
    pairs = [(entry("examine", b"T", keep="k"), entry("nobody_defines_this"))] * 20
    for exam in sandbox.exam_many(pairs):
        assert (exam.examiner.outcome, exam.candidate.outcome) == (Outcome.INTERNAL_ERROR,) * 2
        assert "could not be closed" in exam.candidate.detail


def test_a_candidate_that_hangs_meets_its_own_limit(sandbox: LocalSandbox) -> None:
    candidate = entry("wait_for_end", limits=Limits(wall_s=0.5))
    exam = sandbox.exam(entry("examine", b"T"), candidate)
    assert exam.examiner.report == b"wrong payload=T sitting=1"
    assert exam.candidate.outcome is Outcome.WALL_LIMIT


def test_candidate_and_examiner_do_not_see_each_other(sandbox: LocalSandbox) -> None:
    source = b"import os; assert os.getpid() == 1; os.kill(-1, 9) if len(os.listdir('.')) else None"
    exam = sandbox.exam(entry("examine", b"T"), entry("add", source))
    assert exam.examiner.report == b"right payload=T sitting=1"


def test_packages_are_chosen_by_name() -> None:
    source = b"import numpy; print(numpy.arange(3).sum())\nimport pytest"
    with LocalSandbox(1, packages=("numpy",)) as numerical:
        found = numerical.run(entry("execute", source))
    assert found.stdout == b"3\n"
    assert b"No module named 'pytest'" in found.stderr


def test_the_jail_holds_with_packages_too() -> None:
    with LocalSandbox(1, packages=("numpy",)) as numerical:
        assert not [report for report in numerical.prove() if report.asked and not report.holds]


def test_a_package_that_is_not_installed_is_told(sandbox: LocalSandbox) -> None:
    with pytest.raises(SandboxError, match="pip install no-such-package") as found:
        LocalSandbox(1, packages=("no-such-package",)).run(entry("echo"))
    assert fault(found.value).status is Status.MISCONFIGURED


def test_more_folders_can_be_shown(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "tool").write_text("#!/bin/sh\necho made\n")
    (tmp_path / "tool").chmod(0o755)
    with LocalSandbox(1, readable=(str(tmp_path),)) as sandbox:
        script = f"{tmp_path}/tool; echo x > {tmp_path}/tool; ls {tmp_path.parent}"
        found = sandbox.run(shell(script))
    assert found.stdout == f"made\n{tmp_path.name}\n".encode()
    assert b"Read-only file system" in found.stderr
