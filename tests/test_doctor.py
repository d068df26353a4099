"""What the doctor says of this host, of weaker modes, and of jails that are not what they should be."""

import pytest

from proctor.sandbox.core import IsolationError
from proctor.sandbox.doctor import inspect
from proctor.sandbox.local import proof
from proctor.sandbox.local.host import LocalSandbox
from proctor.sandbox.local.layout import make_setting
from proctor.sandbox.local.proof import LAYERS, LayerReport


def by_layer(reports: list[LayerReport]) -> dict[str, LayerReport]:
    return {report.layer: report for report in reports}


def test_every_layer_holds_here() -> None:
    reports = by_layer(inspect())
    assert {layer.name for layer in LAYERS} <= set(reports)
    assert [report for report in reports.values() if report.asked and not report.holds] == []
    checked = {
        "processor time",
        "time by the clock",
        "total memory",
        "number of processes",
        "output",
        "daemons",
    }
    assert checked <= set(reports)


def test_a_weaker_mode_says_what_it_lacks() -> None:
    reports = by_layer(inspect("process"))
    assert not reports["files"].asked
    assert not reports["files"].holds
    assert "it worked" in reports["files"].proof
    assert reports["limits"].holds


def test_less_than_was_asked_for_is_refused() -> None:
    """The attack of a full jail, made in one without walls: every wall that is missing is named."""
    setting = make_setting("full")
    with LocalSandbox(1, "process") as sandbox:
        reports = proof.prove(setting, sandbox.run)
    missing = {report.layer for report in reports if not report.holds}
    assert {"files", "processes", "network", "names and IPC", "seccomp", "landlock"} <= missing
    with pytest.raises(IsolationError, match=r"'full' does not hold here.*To mend it:.*no-namespaces"):
        proof.require(setting, reports)


def test_a_jail_that_does_not_start_is_explained() -> None:
    error = proof.explain_failure(make_setting("full"), "/nowhere", "the complaint")
    assert "the complaint" in str(error)
    assert "To mend it" in str(error)
