"""What is shown of a run steers no terminal."""

from rich.console import Console

from proctor.rl import display
from proctor.rl.experience import Experience
from proctor.rl.rollouts.core import Completion
from proctor.rl.train import Report
from proctor.verifiers.core import Score


def test_a_completion_cannot_steer_the_terminal() -> None:
    text = "7\x1b]0;owned\x07\x1b[2J\x9b31m[red]"
    experience = Experience(Completion((1,), (2,), (0.0,), False), text, 0, Score(1.0, {}))
    console = Console(force_terminal=True, width=80)
    with console.capture() as capture:
        console.print(display._samples(Report(1, 1, {}, [experience]), 1))
    shown = capture.get()
    assert "\x1b]" not in shown and "\x1b[2J" not in shown and "\x9b" not in shown and "\x07" not in shown
    assert "owned" in shown and "[red]" in shown


def test_a_log_says_how_many_rollouts_have_no_verdict() -> None:
    experience = Experience(Completion((1,), (2,), (0.0,), False), "7", 0, Score(None, {}))
    console = Console(width=200)
    with console.capture() as capture:
        display._line(console, Report(1, 1, {"fate/unscorable": 2}, [experience] * 3))
    assert "2 of 3 rollouts without a verdict" in capture.get()
