"""The HTML report: one file that needs no network, with distributions, filters, groups and evidence.

Everything that a model or a file said is hostile. It goes into the page as JSON inside a script element that
browsers do not run, with `<`, `>` and `&` escaped, and from there into text nodes only. A content security
policy lets nothing run or load but the page's own script and style, named by a nonce made for the file.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from jinja2.utils import htmlsafe_json_dumps

from proctor.verifiers.core import Message, Status
from proctor.verifiers.files.scored import dumps
from proctor.verifiers.files.scoring import Scored
from proctor.verifiers.files.sources import BadRow
from proctor.verifiers.files.summary import Summary

MAX_ROLLOUTS = 20_000  # the page stays quick to filter
_MAX_CHARACTERS = 60_000_000  # of text in the page; browsers open 100 MB slowly, and editors not at all
_CLIP = 6_000  # characters of one text; of a longer one the start and the end are shown
_MAX_REJECTED = 200


@dataclass(frozen=True, slots=True)
class About:
    """What the report says of itself."""

    source: str
    reward: str
    hash: str
    warnings: Sequence[str] = ()
    version: str = ""


@dataclass(slots=True)
class Report:
    """Collects rollouts as they are scored, up to what a page can hold."""

    rollouts: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    _prompts: dict[str, int] = field(default_factory=dict)  # text -> index; each is in the page once
    _parts: dict[str, int] = field(default_factory=dict)
    _characters: int = 0

    def add(self, items: Iterable[Scored | BadRow]) -> None:
        for item in items:
            if isinstance(item, BadRow):
                if len(self.rejected) < _MAX_REJECTED:
                    self.rejected.append({"line": item.number, "reason": item.reason})
            elif len(self.rollouts) < MAX_ROLLOUTS and self._characters < _MAX_CHARACTERS:
                self.rollouts.append(self._entry(item))

    def write(self, path: Path, about: About, summary: Summary) -> None:
        """Writes the page. Raises OSError where the path cannot be written."""
        data = {
            "parts": list(self._parts),
            "prompts": list(self._prompts),
            "rollouts": self.rollouts,
            "blame": {status.value: status.blame.value for status in Status if status.blame},
        }
        template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
            files("proctor.verifiers.files").joinpath("report.html").read_text(encoding="utf-8")
        )
        page = template.render(
            about=about,
            summary=summary,
            rejected=self.rejected,
            shown=len(self.rollouts),
            data=htmlsafe_json_dumps(data, dumps=_dumps),
            nonce=secrets.token_urlsafe(16),
        )
        path.write_text(page, encoding="utf-8")

    def _entry(self, item: Scored) -> dict[str, Any]:
        verdicts: list[Any] = [None] * len(self._parts)
        for name, verdict in item.score.verdicts.items():
            index = self._parts.setdefault(name, len(self._parts))
            verdicts += [None] * (index + 1 - len(verdicts))
            evidence = {key: _clip_value(value) for key, value in verdict.evidence.items()}
            verdicts[index] = [verdict.value, verdict.status.value, evidence, verdict.seconds]
            self._characters += sum(map(len, map(str, evidence.values())))
        prompt = clip(_prompt_text(item.rollout.prompt))
        completion = clip(item.rollout.completion)
        self._characters += len(completion) + (0 if prompt in self._prompts else len(prompt))
        return {
            "n": item.row.number,
            "p": self._prompts.setdefault(prompt, len(self._prompts)),
            "g": str(item.rollout.group) if item.rollout.group is not None else None,
            "c": completion,
            "a": None if item.rollout.answer is None else clip(item.rollout.answer),
            "r": item.score.total,
            "v": verdicts,
        }


def clip(text: str) -> str:
    """The text, or of a long one its start and its end."""
    if len(text) <= _CLIP:
        return text
    half = _CLIP // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def _clip_value(value: object) -> object:
    return clip(value) if isinstance(value, str) else value


def _prompt_text(prompt: str | Sequence[Message]) -> str:
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"{message.get('role', '')}: {_content(message)}" for message in prompt)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else dumps(content)


def _dumps(value: object, **_: Any) -> str:
    """`dumps` in the shape that jinja calls it in; surrogates that have no UTF-8 are already escapes."""
    return dumps(value)
