"""What a chat template makes of messages: text, where the assistant speaks, and where its turn ends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from proctor.sft.chat import Message

# Stand-ins for a turn's text: private-use characters, so that no template's trim or test touches them, and
# different in first and last character, so that what two renderings share is the template's own text.
_STAND_INS = ("\ue000proctor\ue001", "\ue002stands in\ue003")


class LabelError(ValueError):
    """A template or row for which the trained spans cannot be told exactly. Nothing is guessed."""


@dataclass(frozen=True)
class Turn:
    """Where the assistant's turn i lies in `text`, the rendering of the messages up to and including it."""

    text: str
    start: int  # first character that the model has to produce
    end: int  # after the end token of the turn


@dataclass(frozen=True)
class ChatTemplate:
    """A tokenizer's template with its options."""

    tokenizer: PreTrainedTokenizerBase
    options: Mapping[str, Any] = field(default_factory=dict)  # enable_thinking and the like
    end_ids: frozenset[int] = frozenset()  # what generation stops at besides the tokenizer's end token

    def __post_init__(self) -> None:
        if not self.tokenizer.chat_template:
            raise LabelError(
                "the tokenizer has no chat template; name a file with one under data.chat_template, "
                "or use rows of 'prompt' and 'completion'"
            )

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        generation_prompt: bool = False,
    ) -> str:
        """The conversation as text, special tokens included."""
        return self._rendered(messages, tools, generation_prompt=generation_prompt)[0]

    def turn(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> Turn:
        """The span of the last message, an assistant's, as it stands when it is generated.

        The start is the end of the generation prompt; where the template's rendering of a finished turn does
        not begin with that prompt (or it cannot render one), the start is the template's own
        `{% generation %}` mark, and else where two renderings that differ in this turn's text alone begin to
        differ. The end is after the turn's end token. Raises LabelError where neither can be told.
        """
        text, marks = self._rendered(messages, tools)
        start = self._start(text, marks, messages, tools)
        return Turn(text, start, start + self._end(text[start:]))

    def _start(
        self,
        text: str,
        marks: list[tuple[int, int]],
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
    ) -> int:
        prompt = self.prompt(messages, tools)
        if prompt is not None and text.startswith(prompt):
            return len(prompt)
        if marks:
            return marks[-1][0]
        first, second = (
            self.render([*messages[:-1], {**messages[-1], "content": word}], tools) for word in _STAND_INS
        )
        header = _shared(first, second)
        if not (first[header:].startswith(_STAND_INS[0]) and text.startswith(first[:header])):
            raise LabelError(
                "a finished assistant turn does not begin with the chat template's generation prompt, and "
                "what the template puts before it depends on the turn: where training begins cannot be told"
            )
        return header

    def prompt(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> str | None:
        """What the model is given to produce the last message; None where the template cannot render that."""
        try:
            return self.render(messages[:-1], tools, generation_prompt=True)
        except LabelError:
            return None

    def _end(self, turn: str) -> int:
        """After the turn's end token: the first that stops generation among the special tokens at its close.

        Phi writes `<|end|>` and the end of text, Cohere two markers of which the second stops; where none of
        them is known to stop, it is the last, and the mask proof says so.
        """
        closing: list[re.Match[str]] = []
        for match in reversed(list(self._special.finditer(turn))):
            if turn[match.end() : closing[-1].start() if closing else None].strip():
                break
            closing.append(match)
        if not closing:
            raise LabelError(
                f"the chat template ends an assistant turn with {turn[-30:]!r}, without a special token: the "
                "model would never learn to stop; use a template that writes the end token"
            )
        stops = [match.end() for match in reversed(closing) if match.group() in self._stops]
        return stops[0] if stops else closing[0].end()

    @cached_property
    def _stops(self) -> set[str]:
        known = self.end_ids | {self.tokenizer.eos_token_id}
        return {self.tokenizer.decode([token]) for token in known if token is not None}

    @cached_property
    def _special(self) -> re.Pattern[str]:
        added = self.tokenizer.added_tokens_decoder.values()
        names = {str(token) for token in added if token.special} | set(self.tokenizer.all_special_tokens)
        return re.compile(
            "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)"
        )

    @cached_property
    def _has_marks(self) -> bool:
        template = self.tokenizer.get_chat_template()
        return re.search(r"\{%-?\s*generation\s*-?%\}", template) is not None

    def _rendered(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] | None,
        *,
        generation_prompt: bool = False,
    ) -> tuple[str, list[tuple[int, int]]]:
        options: dict[str, Any] = {**self.tokenizer.special_tokens_map, **self.options}
        schemas = None if tools is None else [dict(tool) for tool in tools]
        try:
            texts, marks = render_jinja_template(
                [[dict(message) for message in messages]],
                tools=schemas,
                chat_template=self.tokenizer.get_chat_template(tools=schemas),
                return_assistant_tokens_mask=self._has_marks,
                add_generation_prompt=generation_prompt,
                **options,
            )
        except (TemplateError, IndexError, TypeError, KeyError) as error:  # the template's own code
            raise LabelError(f"the chat template fails on these messages: {error}") from error
        return texts[0], marks[0] if marks else []


def _shared(first: str, second: str) -> int:
    """Length of the common beginning."""
    for place, (left, right) in enumerate(zip(first, second, strict=False)):
        if left != right:
            return place
    return min(len(first), len(second))
