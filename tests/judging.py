"""Judges one program by the `code` part, in a jail."""

from __future__ import annotations

import textwrap
from typing import Any

from proctor.verifiers.core import Rollout, Verdict
from proctor.verifiers.programs.part import Code


def judge(code: str, tests: Any, *, prompt: str = "", entry: str = "", **options: Any) -> Verdict:
    part = Code(extraction="raw", timeout=3.0, **options)
    fields = {"entry_point": entry} if entry else {}
    return part.verify([Rollout(textwrap.dedent(code), prompt, tests=tests, fields=fields)])[0]


def source(text: str) -> dict[str, str]:
    return {"source": textwrap.dedent(text)}
