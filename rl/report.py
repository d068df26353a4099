"""The report of a run: one HTML file that needs no network, with curves and rollouts through training.

Made from the files that a run writes (metrics, completions, incidents), also while it runs. Model text is
hostile: it goes into the page as JSON inside a script element that browsers do not run, with `<`, `>` and `&`
escaped, and from there into text nodes only; a content security policy lets nothing else run or load.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from jinja2.utils import htmlsafe_json_dumps

from proctor.rl.record import read_lines
from proctor.verifiers.files.report import clip
from proctor.verifiers.files.scored import dumps
from proctor.verifiers.files.sources import InputError

# What a page holds and still opens at once.
_MAX_POINTS = 1_500  # steps of a curve
_MAX_STEPS = 40  # steps whose rollouts are shown
_MAX_GROUPS = 8  # prompts of such a step
_MAX_PER_GROUP = 8
_MAX_EVALUATED = 32  # prompts followed through the evaluations

Line = dict[str, Any]


def write_report(run: Path, out: Path) -> None:
    """Writes the page on the run in a folder. Raises InputError where there is no run."""
    lines = list(read_lines(run / "metrics.jsonl"))
    steps = [line for line in lines if "reward" in line]
    evaluations = [line for line in lines if "evaluation/sampled" in line]
    if not steps and not evaluations:
        raise InputError(f"{run}: no run here (no metrics.jsonl with a step in it)")
    incidents = _incidents(run)
    data = {
        "steps": _thinned(steps, _MAX_POINTS),
        "evaluations": evaluations,
        "incidents": incidents,
        "rollouts": _rollouts(run / "completions.jsonl"),
    }
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files("proctor.rl").joinpath("report.html").read_text(encoding="utf-8")
    )
    page = template.render(
        name=run.resolve().name,
        tiles=_tiles(steps, evaluations, incidents),
        evaluations=evaluations,
        incidents=incidents,
        data=htmlsafe_json_dumps(data, dumps=_dumps),
        nonce=secrets.token_urlsafe(16),
    )
    out.write_text(page, encoding="utf-8")


def _incidents(run: Path) -> list[Line]:
    """Step and reason of each; the batch stays in its file."""
    found = []
    for path in sorted(run.glob("incident-*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        found.append({"step": facts["step"], "reason": facts["reason"], "file": path.name})
    return found


def _thinned(rows: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the rows, evenly, the first and the last among them."""
    if len(rows) <= most:
        return list(rows)
    return [rows[place * (len(rows) - 1) // (most - 1)] for place in range(most)]


def _rollouts(path: Path) -> Mapping[str, Any]:
    """Of the evaluations the same prompts at every one, of training the groups of some steps."""
    kinds: dict[str, dict[int, int]] = {"train": {}, "evaluation": {}}  # step -> rows, to choose from
    for row in read_lines(path):
        steps = kinds[row["kind"]]
        steps[row["step"]] = steps.get(row["step"], 0) + 1
    chosen = {kind: set(_thinned(sorted(steps), _MAX_STEPS)) for kind, steps in kinds.items()}
    most = {"train": _MAX_GROUPS, "evaluation": _MAX_EVALUATED}
    groups: dict[tuple[str, int, int], list[Line]] = {}
    for row in read_lines(path):
        key = (row["kind"], row["step"], row["group"])
        if row["step"] in chosen[row["kind"]] and row["group"] < most[row["kind"]]:
            members = groups.setdefault(key, [])
            if len(members) < _MAX_PER_GROUP:
                members.append(row)
    prompts: dict[str, int] = {}
    shown = [_group(key, members, prompts) for key, members in groups.items()]
    return {"prompts": list(prompts), "groups": shown}


def _group(key: tuple[str, int, int], members: Sequence[Line], prompts: dict[str, int]) -> Line:
    prompt = clip(members[0].get("prompt") or "")
    kind, step, number = key
    return {
        "kind": kind,
        "step": step,
        "group": number,
        "prompt": prompts.setdefault(prompt, len(prompts)),
        "rollouts": [
            {
                "text": clip(row["completion"]),
                "reward": row["reward"],
                "tokens": row["tokens"],
                "truncated": row["truncated"],
                "advantage": row["advantage"],
                "fate": row["fate"],
                "verdicts": [
                    [name, verdict["value"], verdict["status"], verdict["blame"]]
                    for name, verdict in row["verdicts"].items()
                ],
            }
            for row in members
        ],
    }


def _tiles(
    steps: Sequence[Line], evaluations: Sequence[Line], incidents: Sequence[Line]
) -> list[tuple[str, str]]:
    """The few numbers at the top: (number, what it is)."""
    tiles = [(f"{steps[-1]['step'] if steps else 0:,}", "steps")]
    for name, title in (("sampled", "sampled accuracy"), ("greedy", "greedy accuracy")):
        values = [line[f"evaluation/{name}"] for line in evaluations]
        if values:
            ends = values if len(values) == 1 else [values[0], values[-1]]
            tiles.append((" → ".join("–" if each is None else f"{each:.1%}" for each in ends), title))
    seconds = sum(
        value for line in steps for name, value in line.items() if name.startswith("seconds/") and value
    )
    rollouts = sum(
        value for line in steps for name, value in line.items() if name.startswith("fate/") and value
    )
    tokens = sum(line.get("tokens") or 0 for line in steps)
    tiles += [(f"{rollouts:,}", "rollouts"), (f"{tokens:,}", "tokens sampled")]
    tiles.append((_duration(seconds), "in the steps"))
    return [*tiles, (str(len(incidents)), "incident" if len(incidents) == 1 else "incidents")]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _dumps(value: object, **_: Any) -> str:
    """`dumps` in the shape that jinja calls it in."""
    return dumps(value)
