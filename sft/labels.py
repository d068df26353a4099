"""Which tokens are trained: conversations to examples, by the tokenizer's own chat template.

A conversation is one row where the template renders every earlier turn as it stood when it was generated.
Templates that rewrite history (strip thinking from earlier turns, change an end token) make that impossible:
such a turn gets a row of its own that ends with it, so what is trained is always what will be generated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from transformers import PreTrainedTokenizerBase

from proctor.sft.batch import Example
from proctor.sft.chat import Conversation, text_of
from proctor.sft.template import ChatTemplate, LabelError, Turn
from proctor.sft.tokenizer import plain_ids

WeightSpans = Sequence[tuple[int, int, float]]
"""(start, end, weight) in characters of an answer; the rest of it weighs 1."""


class Span(NamedTuple):
    """One stretch of trained tokens, and the assistant turn it stands for."""

    start: int  # first trained token
    end: int  # after the last one
    turn: int  # index of the message; 0 for plain rows


@dataclass(frozen=True, slots=True)
class Labelled:
    """One row of training, with what the mask proof needs to judge it."""

    example: Example
    spans: tuple[Span, ...]
    conversation: Conversation
    num_cut: int = 0  # tokens that truncation took


class Labeller:
    """Turns conversations into labelled rows.

    turns: train "all" assistant turns, or the "last" one. A message with `weight` 0 is left out, other
    weights multiply its tokens' weights. end_ids: what generation stops at, besides the tokenizer's end
    token. weight_column: the column with `WeightSpans` of the last answer.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        turns: Literal["all", "last"] = "all",
        template_options: dict[str, Any] | None = None,
        end_ids: Iterable[int] = (),
        weight_column: str = "",
    ) -> None:
        self.tokenizer = tokenizer
        self.turns = turns
        self.options = template_options or {}
        self.end_ids = frozenset(end_ids)
        self.weight_column = weight_column
        self._template: ChatTemplate | None = None

    @property
    def template(self) -> ChatTemplate:
        """The chat template; LabelError where the tokenizer has none."""
        if self._template is None:
            self._template = ChatTemplate(self.tokenizer, self.options, self.end_ids)
        return self._template

    def rows(self, conversation: Conversation) -> list[Labelled]:
        """The training rows of a conversation, most often one. Raises LabelError."""
        return self._chat(conversation) if conversation.messages else [self._plain(conversation)]

    def _plain(self, conversation: Conversation) -> Labelled:
        """prompt + completion + end token, tokenised apart, as a generation would have them."""
        end = self.tokenizer.eos_token_id
        if end is None:
            raise LabelError("the tokenizer has no end token (eos_token); a model could not learn to stop")
        prompt = plain_ids(self.tokenizer, conversation.prompt)
        answer, offsets = self._encode_with_offsets(conversation.completion)
        weights = self._weights(conversation, offsets, 0)
        ids = [*prompt, *answer, end]
        trained = [False] * len(prompt) + [True] * (len(answer) + 1)
        if weights is not None:
            weights = [1.0] * len(prompt) + weights + [1.0]
        return Labelled(Example(ids, trained, weights), (Span(len(prompt), len(ids), 0),), conversation)

    def _chat(self, conversation: Conversation) -> list[Labelled]:
        messages = conversation.messages
        wanted = [
            place
            for place, message in enumerate(messages)
            if message["role"] == "assistant" and message.get("weight", 1) != 0
        ]
        if not wanted:
            raise LabelError("every assistant turn has weight 0, so there is nothing to learn")
        if self.turns == "last":
            wanted = wanted[-1:]
        turns = {place: self.template.turn(messages[: place + 1], conversation.tools) for place in wanted}
        whole = turns[wanted[-1]].text
        together = {place: turn for place, turn in turns.items() if whole.startswith(turn.text[: turn.end])}
        apart = {place: turn for place, turn in turns.items() if place not in together}
        rows = [row for place, turn in apart.items() for row in self._rendered(conversation, {place: turn})]
        return [*rows, *self._rendered(conversation, together)]

    def _rendered(self, conversation: Conversation, turns: dict[int, Turn]) -> list[Labelled]:
        """One row for turns that share a rendering; what follows the last of them is left off.

        A turn whose first or last token reaches over its border gets a row of its own, tokenised in two.
        """
        longest = max(turns.values(), key=lambda turn: turn.end)
        text = longest.text[: longest.end]
        ids, offsets = self._encode_with_offsets(text)
        spans, rows = [], []
        for place, turn in turns.items():
            found = _token_span(offsets, turn)
            if found is None:
                rows.append(self._in_two(conversation, turn, place))
            else:
                spans.append(Span(*found, place))
        if not spans:
            return rows
        trained = [False] * len(ids)
        for span in spans:
            trained[span.start : span.end] = [True] * (span.end - span.start)
        weights = self._chat_weights(conversation, text, offsets, turns, spans)
        return [*rows, Labelled(Example(ids, trained, weights), tuple(spans), conversation)]

    def _in_two(self, conversation: Conversation, turn: Turn, place: int) -> Labelled:
        """Prompt and turn tokenised apart, as a generation would have them."""
        prompt = self._encode(turn.text[: turn.start])
        answer = self._encode(turn.text[turn.start : turn.end])
        trained = [False] * len(prompt) + [True] * len(answer)
        span = Span(len(prompt), len(prompt) + len(answer), place)
        if self.weight_column:
            raise LabelError("weights cannot be laid over a turn whose first token reaches into the prompt")
        return Labelled(Example([*prompt, *answer], trained), (span,), conversation)

    def _chat_weights(
        self,
        conversation: Conversation,
        text: str,
        offsets: list[tuple[int, int]],
        turns: dict[int, Turn],
        spans: list[Span],
    ) -> list[float] | None:
        weights: list[float] | None = None
        last = spans[-1]
        answer = text_of(conversation.messages[last.turn])
        if self.weight_column and last.turn == len(conversation.messages) - 1:
            begin = text.find(answer, turns[last.turn].start)
            if begin < 0:
                raise LabelError(
                    "the template changes the answer's text, so weights by character do not fit it"
                )
            weights = self._weights(conversation, offsets, begin)
        for span in spans:
            factor = float(conversation.messages[span.turn].get("weight", 1))
            if factor != 1:
                weights = weights or [1.0] * len(offsets)
                weights[span.start : span.end] = [factor * each for each in weights[span.start : span.end]]
        return weights

    def _weights(
        self, conversation: Conversation, offsets: list[tuple[int, int]], begin: int
    ) -> list[float] | None:
        """Weights per token from the column's spans, whose characters count from `begin`."""
        spans: WeightSpans | None = conversation.row.get(self.weight_column) if self.weight_column else None
        if spans is None:
            return None
        try:
            checked = [(int(start), int(end), float(weight)) for start, end, weight in spans]
        except (TypeError, ValueError) as error:
            column = self.weight_column
            raise LabelError(f"column '{column}' is not [[start, end, weight], ...]: {error}") from error
        weights = [1.0] * len(offsets)
        for start, end, weight in checked:
            for place, (left, right) in enumerate(offsets):
                if left < begin + end and right > begin + start:
                    weights[place] = weight
        return weights

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        if not self.tokenizer.is_fast:
            raise LabelError(
                f"{type(self.tokenizer).__name__} gives no character offsets; use the fast tokenizer"
            )
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return encoded["input_ids"], encoded["offset_mapping"]


def truncate(row: Labelled, max_length: int) -> Labelled:
    """The row cut to its first `max_length` tokens. May leave no trained token: the caller looks."""
    cut = len(row.example) - max_length
    if cut <= 0:
        return row
    example = row.example
    weights = None if example.weights is None else example.weights[:max_length]
    shorter = Example(example.token_ids[:max_length], example.trained[:max_length], weights)
    spans = tuple(
        span._replace(end=min(span.end, max_length)) for span in row.spans if span.start < max_length
    )
    return Labelled(shorter, spans, row.conversation, cut)


def _token_span(offsets: list[tuple[int, int]], turn: Turn) -> tuple[int, int] | None:
    """The tokens of a turn; None where one lies across a border, and so belongs to both sides."""
    inside = [
        place
        for place, (left, right) in enumerate(offsets)
        if (left < turn.end and right > turn.start) or (left == right and turn.start <= left < turn.end)
    ]
    if not inside:
        return None
    first, last = inside[0], inside[-1]
    if offsets[first][0] < turn.start or offsets[last][1] > turn.end:
        return None
    return first, last + 1
