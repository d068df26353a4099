"""The code in a prompt, which is trusted: what a completion continues, and what tests may use of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from proctor.verifiers.core import Rollout

# Columns in which data sets put it apart from the prose.
_COLUMNS = ("starter_code", "code_prompt", "prompt_code")
_CODE = re.compile(r"^(?:async def|def|class|import|from|@)\b", re.MULTILINE)


def code_of_prompt(rollout: Rollout) -> str:
    """The prompt where it is code itself (HumanEval); a column for it; the last block in a chat message; or ""."""
    for column in _COLUMNS:
        text = rollout.get(column)
        if isinstance(text, str) and text.strip():
            return text
    prompt = rollout.prompt if isinstance(rollout.prompt, str) else _last_message(rollout.prompt)
    if not _CODE.search(prompt):
        return ""
    return prompt if "```" not in prompt or _ends_open(prompt) else _last_block(prompt)


def _last_message(messages: Sequence[Mapping[str, Any]]) -> str:
    return next(
        (str(each.get("content") or "") for each in reversed(messages) if each.get("role") == "user"), ""
    )


def _ends_open(prompt: str) -> bool:
    return prompt.count("```") % 2 == 1


def _last_block(prompt: str) -> str:
    blocks = re.findall(r"```[^\n]*\n(.*?)```", prompt, re.DOTALL)
    return next((block for block in reversed(blocks) if _CODE.search(block)), "")
