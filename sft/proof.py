"""The mask proof: evidence from the tokens themselves that the assistant's, and only those, will be trained.

It does not trust labels.py. It decodes what is trained and compares it with the answers in the data,
tokenises the generation prompt anew, and counts what is wrong. What it covers: text trained too much or too
little, rows with nothing to learn, doubled BOS, end tokens missing or too early, training and generation that see other
prompts. What it does not: whether the answers are any good (quality.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from transformers import PreTrainedTokenizerBase

from proctor.sft.chat import Message, text_of
from proctor.sft.labels import Labelled, Labeller, Span

# What a template may add inside a turn without it being a sign of a wrong mask: white space, tags, and a word
# right before a tag (`<|channel|>final<|message|>`).
_SCAFFOLD = re.compile(r"(?:\s|<[^<>]{1,40}>|\[[^\[\]]{1,40}\]|[\w=]{1,20}(?=<))*")
_THINKING = re.compile(r"\s*<think>(.*?)</think>(.*)", re.DOTALL)
_SHOWN = 20  # failing rows kept with their tokens


class Fault(str, Enum):
    """What can be wrong with a row."""

    OTHER_TEXT = "other_text"  # the trained text is not the assistant's
    PROMPT_TRAINED = "prompt_trained"  # tokens of the prompt are trained
    NOTHING_TRAINED = "nothing_trained"  # too few trained tokens, most often after truncation
    DOUBLE_BOS = "double_bos"  # the row begins with two BOS tokens
    MISSING_END = "missing_end"  # a trained turn does not end with an end token
    EARLY_END = "early_end"  # a trained turn goes on after an end token, where no generation would
    OTHER_PROMPT = "other_prompt"  # generation would see other prompt tokens than training does
    UNREADABLE = "unreadable"  # the template gives no exact spans


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that fails, with what a person needs to see why."""

    source: str
    fault: Fault
    detail: str
    pieces: tuple[tuple[str, bool], ...] = ()  # decoded stretches, and whether they are trained


@dataclass(slots=True)
class Proof:
    """What the proof found over a whole data set."""

    num_rows: int = 0
    num_tokens: int = 0
    num_trained: int = 0
    num_cut: int = 0  # rows that truncation shortened
    prompt_tokens_trained: int = 0  # tokens of prompts trained by mistake
    faults: Counter[Fault] = field(default_factory=Counter)
    scaffolds: Counter[str] = field(default_factory=Counter)  # template text inside trained turns
    failures: list[Failure] = field(default_factory=list)  # the first few of each fault
    warnings: list[str] = field(default_factory=list)  # about the tokenizer as a whole

    @property
    def holds(self) -> bool:
        """Whether every row passed and there was at least one."""
        return not self.faults and self.num_rows > 0

    def add(self, failure: Failure) -> None:
        """Counts a failure, and keeps it while there are few of its kind."""
        self.faults[failure.fault] += 1
        if sum(kept.fault is failure.fault for kept in self.failures) < _SHOWN:
            self.failures.append(failure)


class Prover:
    """Proves the rows of a labeller. min_trained: rows with fewer trained tokens fail."""

    def __init__(self, labeller: Labeller, *, min_trained: int = 1) -> None:
        self.labeller = labeller
        self.tokenizer = labeller.tokenizer
        self.end_ids = labeller.end_ids | {self.tokenizer.eos_token_id}
        self.min_trained = min_trained

    def prove(self, rows: Iterable[Labelled]) -> Proof:
        """Checks every row."""
        proof = Proof(warnings=list(tokenizer_warnings(self.tokenizer)))
        for row in rows:
            proof.num_rows += 1
            proof.num_tokens += len(row.example)
            proof.num_trained += row.example.num_trained
            proof.num_cut += row.num_cut > 0
            for failure in self._failures(row, proof):
                proof.add(failure)
        return proof

    def _failures(self, row: Labelled, proof: Proof) -> Iterator[Failure]:
        """At most one failure of each kind for a row."""
        pieces = _pieces(row, self.tokenizer)
        source = row.conversation.source

        def failure(fault: Fault, detail: str) -> Failure:
            return Failure(source, fault, detail, pieces)

        if row.example.num_trained < self.min_trained:
            cut = f", {row.num_cut} tokens were cut off" if row.num_cut else ""
            yield failure(Fault.NOTHING_TRAINED, f"{row.example.num_trained} trained tokens{cut}")
            return
        bos = self.tokenizer.bos_token_id
        if bos is not None and list(row.example.token_ids[:2]) == [bos, bos]:
            yield failure(Fault.DOUBLE_BOS, f"begins with {self.tokenizer.bos_token!r} twice")
        yield from self._prompt_failures(row, proof, failure)
        runs = _runs(row)
        if len(runs) != len(row.spans):
            yield failure(Fault.OTHER_TEXT, f"{len(runs)} trained stretches for {len(row.spans)} turns")
            return
        for (start, end), span in zip(runs, row.spans, strict=True):
            if row.num_cut and end == len(row.example):
                continue  # a cut turn has neither its end nor its whole text; it is counted in num_cut
            yield from self._end_failures(row.example.token_ids[start:end], span, failure)
            wrong = self._other_text(row, start, end, span, proof)
            if wrong:
                yield failure(Fault.OTHER_TEXT, wrong)

    def _end_failures(
        self, turn: Sequence[int], span: Span, failure: Callable[[Fault, str], Failure]
    ) -> Iterator[Failure]:
        """A turn must end with what generation stops at, and hold nothing of it before."""
        *before, last = turn
        if last not in self.end_ids:
            stops = " or ".join(
                repr(self.tokenizer.decode([token])) for token in sorted(self.end_ids - {None})
            )
            shown = self.tokenizer.decode([last])
            yield failure(
                Fault.MISSING_END,
                f"turn {span.turn} ends with {shown!r}, not with an end token; generation stops at {stops}",
            )
        early = [token for token in before if token in self.end_ids]
        if early:
            shown = self.tokenizer.decode(early[:1])
            yield failure(
                Fault.EARLY_END, f"turn {span.turn} has {shown!r} in its text; generation would stop there"
            )

    def _prompt_failures(
        self, row: Labelled, proof: Proof, failure: Callable[[Fault, str], Failure]
    ) -> Iterator[Failure]:
        """Training and generation must see the same tokens before the first trained turn."""
        prompt = self._generation_prompt(row)
        if prompt is None:
            return
        ids, trained = list(row.example.token_ids), row.example.trained
        if ids[: len(prompt)] != prompt[: len(ids)]:
            place = next(
                (at for at, pair in enumerate(zip(ids, prompt, strict=False)) if pair[0] != pair[1]), 0
            )
            yield failure(
                Fault.OTHER_PROMPT,
                f"generation starts from {self.tokenizer.decode(prompt[max(0, place - 3) :])!r}, "
                f"training has {self.tokenizer.decode(ids[max(0, place - 3) : place + 5])!r} there",
            )
            return
        mistaken = sum(trained[: len(prompt)])
        if mistaken:
            proof.prompt_tokens_trained += mistaken
            yield failure(Fault.PROMPT_TRAINED, f"{mistaken} tokens of the prompt are trained")

    def _generation_prompt(self, row: Labelled) -> list[int] | None:
        """The tokens that the first trained turn would be generated from."""
        conversation = row.conversation
        if not conversation.messages:
            ids: list[int] = self.tokenizer(conversation.prompt)["input_ids"]
            return ids[:-1] if ids[-1:] == [self.tokenizer.eos_token_id] else ids
        messages = conversation.messages[: row.spans[0].turn + 1]
        text = self.labeller.template.prompt(messages, conversation.tools)
        return None if text is None else self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _other_text(self, row: Labelled, start: int, end: int, span: Span, proof: Proof) -> str:
        """Why the trained text of a turn is not the assistant's; empty where it is."""
        ids = list(row.example.token_ids[start:end])
        if ids[-1] in self.tokenizer.all_special_ids:
            ids = ids[:-1]
        text = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if not row.conversation.messages:
            same = text.strip() == row.conversation.completion.strip()
            return "" if same else f"trained {text!r}, the completion is {row.conversation.completion!r}"
        message = row.conversation.messages[span.turn]
        rest = text
        for part in _parts(message):
            if part not in rest:
                return (
                    f"turn {span.turn} trains {_short(text)!r}; {_short(part)!r} of the answer is not in it"
                )
            before, _, rest = rest.partition(part)
            if before.strip() and before.strip() not in text_of(message):
                proof.scaffolds[before] += 1
            if not _SCAFFOLD.fullmatch(before):
                return f"turn {span.turn} trains {_short(before)!r}, which is not in the answer"
        if rest.strip() and not message.get("tool_calls") and not _SCAFFOLD.fullmatch(rest):
            return f"turn {span.turn} trains {_short(rest)!r} after the answer"
        return ""


def tokenizer_warnings(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """What is wrong with a tokenizer for training and generation alike."""
    if tokenizer.padding_side != "left":
        yield "padding_side is 'right': batched generation would continue after padding; set it to 'left'"
    if tokenizer.pad_token_id is None:
        yield "there is no pad token; batched generation needs one"
    elif tokenizer.pad_token_id == tokenizer.eos_token_id:
        yield "the pad token is the end token: trainers that mask padding by token would never train the end"


def _parts(message: Message) -> list[str]:
    """The texts of a message that must be trained, in the order in which templates write them."""
    content = text_of(message)
    reasoning = message.get("reasoning_content") or message.get("thinking") or ""
    parts = [reasoning, content] if isinstance(reasoning, str) else [content]
    # Templates set thinking in their own way, or begin it in the generation prompt: its tags are theirs.
    thinking = _THINKING.fullmatch(content)
    if thinking:
        parts[-1:] = thinking.groups()
    return [part.strip() for part in parts if part.strip()]


def _runs(row: Labelled) -> list[tuple[int, int]]:
    """Stretches of trained tokens that belong together, from the mask alone; spans that touch are split."""
    borders = {span.start for span in row.spans}
    runs: list[tuple[int, int]] = []
    for place, trained in enumerate(row.example.trained):
        if not trained:
            continue
        if runs and runs[-1][1] == place and place not in borders:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def _pieces(row: Labelled, tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[str, bool], ...]:
    """The row as decoded stretches of equal label."""
    pieces: list[tuple[list[int], bool]] = []
    for token, trained in zip(row.example.token_ids, row.example.trained, strict=True):
        if pieces and pieces[-1][1] == trained:
            pieces[-1][0].append(token)
        else:
            pieces.append(([token], trained))
    return tuple((tokenizer.decode(ids), trained) for ids, trained in pieces)


def _short(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
