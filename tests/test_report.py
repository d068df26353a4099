"""The report is one offline page; text of models, prompts and files cannot run or load anything in it."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from proctor.verifiers.core import Rollout, Score, Status, Verdict
from proctor.verifiers.files.report import MAX_ROLLOUTS, About, Report, clip
from proctor.verifiers.files.scoring import Scored
from proctor.verifiers.files.sources import BadRow, Row
from proctor.verifiers.files.summary import Summary

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<!--<script>]]>&lt;\u2028\u2029{{ 1234*5678 }}{% raw %}'\"`${1}"
)


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        in_script = bool(self.tags) and self.tags[-1][0] == "script"
        (self.scripts if in_script else self.words).append(data)

    @property
    def data(self) -> dict[str, Any]:
        loaded = json.loads(self.scripts[0])
        assert isinstance(loaded, dict)
        return loaded


def scored(number: int, text: str, value: float | None, *, part: str = "math", prompt: str = "p") -> Scored:
    status = Status.GRADER_ERROR if value is None else Status.CORRECT if value else Status.INCORRECT
    verdict = Verdict(value, status, {"extracted": text, "limit": float("inf")}, 0.001)
    rollout = Rollout(text, prompt=prompt, answer=text)
    return Scored(Row(number, {}), rollout, Score(value, {part: verdict}))


def write(path: Path, items: list[Scored | BadRow], about: About | None = None) -> Page:
    report, summary = Report(), Summary()
    report.add(items)
    summary.add(items)
    report.write(path, about or About("rollouts.jsonl", "math", "abc"), summary)
    return Page(path.read_text(encoding="utf-8"))


def test_data_survives(tmp_path: Path) -> None:
    page = write(tmp_path / "r.html", [scored(1, "A: 4", 1.0), scored(2, "A: 5", 0.0), scored(3, "x", None)])

    assert [rollout["r"] for rollout in page.data["rollouts"]] == [1.0, 0.0, None]
    assert page.data["rollouts"][2]["v"] == [[None, "grader_error", {"extracted": "x", "limit": None}, 0.001]]
    assert page.data["prompts"] == ["p"]
    assert page.data["blame"]["grader_error"] == "grader"


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    items = [scored(1, HOSTILE, 1.0, part=HOSTILE, prompt=HOSTILE), BadRow(2, HOSTILE, HOSTILE)]
    page = write(tmp_path / "r.html", items, About(HOSTILE, HOSTILE, HOSTILE, [HOSTILE]))

    assert [attributes.get("type") for tag, attributes in page.tags if tag == "script"] == [
        "application/json",
        None,
    ]
    assert not [tag for tag, _ in page.tags if tag in ("img", "iframe", "object", "link", "base")]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    rollout = page.data["rollouts"][0]
    assert rollout["c"] == rollout["a"] == page.data["prompts"][0] == page.data["parts"][0] == HOSTILE
    assert "7006652" not in "".join(page.words)


def test_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    page = write(tmp_path / "r.html", [scored(1, "A: 4", 1.0)])
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")

    assert str(policy).startswith("default-src 'none'; script-src 'nonce-")
    assert not [a for _, a in page.tags if "src" in a or "href" in a]
    assert "http" not in page.scripts[1].replace("http://www.w3.org/2000/svg", "")
    nonces = {a["nonce"] for tag, a in page.tags if "nonce" in a}
    assert len(nonces) == 1
    other = write(tmp_path / "s.html", [scored(1, "A: 4", 1.0)])
    assert nonces.isdisjoint({a.get("nonce") for _, a in other.tags})


def test_tables_count_all_where_the_page_holds_some(tmp_path: Path) -> None:
    report, summary = Report(), Summary()
    items = [scored(number, str(number), 1.0) for number in range(MAX_ROLLOUTS + 5)]
    report.add(items)
    summary.add(items)
    report.write(tmp_path / "r.html", About("f", "math", "abc"), summary)
    page = Page((tmp_path / "r.html").read_text())

    assert len(page.data["rollouts"]) == MAX_ROLLOUTS
    assert re.search(r"first 20,000 of 20,005 rollouts", " ".join(page.words))


def test_long_text_keeps_its_start_and_end() -> None:
    text = "a" * 10_000 + "the end"
    assert len(clip(text)) < 6_100
    assert "4,007 characters left out" in clip(text)
    assert clip(text).endswith("the end")
    assert clip("short") == "short"


def test_parts_that_come_later_keep_their_place(tmp_path: Path) -> None:
    items = [
        scored(1, "x", 1.0, part="math"),
        scored(2, "x", 0.0, part="code"),
        scored(3, "x", 0.0, part="math"),
    ]
    data = write(tmp_path / "r.html", items).data

    assert data["parts"] == ["math", "code"]
    assert [[v and v[0] for v in rollout["v"]] for rollout in data["rollouts"]] == [
        [1.0],
        [None, 0.0],
        [0.0, None],
    ]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the chromium browser")
def test_browser_shows_the_rollouts_and_runs_nothing_else(tmp_path: Path) -> None:
    items: list[Scored | BadRow] = [
        scored(1, HOSTILE, 1.0, prompt=HOSTILE),
        scored(2, "A: 5", 0.0, prompt=HOSTILE),
    ]
    write(tmp_path / "r.html", items, About("f", "math", "abc"))
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    flags += [
        "--disable-quic",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'b'}",
    ]
    command = ["chromium", *flags, "--dump-dom", f"file://{tmp_path / 'r.html'}"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    assert "2 rollouts, 1 prompt" in shown
    assert "<title>f: math</title>" in shown
    assert "&lt;img src=x" in shown
