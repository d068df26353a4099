"""The code in a prompt, which is trusted: what a completion continues, and what tests may use of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from proctor.verifiers.core import Rollout
from proctor.verifiers.programs.extraction import defined, last_defined, only_defines

# Columns in which data sets put it apart from the prose.
_COLUMNS = ("starter_code", "code_prompt", "prompt_code")
_CODE = re.compile(r"^(?:async def|def|class|import|from|@)\b", re.MULTILINE)


def code_of_prompt(rollout: Rollout) -> str:
    """The prompt where it is code itself (HumanEval); a column for it; the last block in a chat message; or ""."""
    for column in _COLUMNS:
        text = rollout.get(column)
        if isinstance(text, str) and text.strip():
            return _prelude(rollout.prompt, text) + text
    prompt = rollout.prompt if isinstance(rollout.prompt, str) else _last_message(rollout.prompt)
    if not _CODE.search(prompt):
        return ""
    return prompt if "```" not in prompt or _ends_open(prompt) else _last_block(prompt)


def _prelude(prompt: object, code: str) -> str:
    """A prompt that only defines what the code in a column uses (ListNode, in LeetCodeDataset); or ""."""
    if not isinstance(prompt, str) or not _CODE.match(prompt) or not only_defines(prompt):
        return ""
    if last_defined(code) in defined(prompt):  # the same once more
        return ""
    return f"{prompt.rstrip()}\n\n\n"


def _last_message(messages: Sequence[Mapping[str, Any]]) -> str:
    return next(
        (str(each.get("content") or "") for each in reversed(messages) if each.get("role") == "user"), ""
    )


def _ends_open(prompt: str) -> bool:
    return prompt.count("```") % 2 == 1


def _last_block(prompt: str) -> str:
    blocks = re.findall(r"```[^\n]*\n(.*?)```", prompt, re.DOTALL)
    return next((block for block in reversed(blocks) if _CODE.search(block)), "")
