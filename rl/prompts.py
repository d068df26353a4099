"""Problems to train on: read from files, rendered and tokenised once, dealt out in an order that resumes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from transformers import PreTrainedTokenizerBase

from proctor.sft.tokenizer import plain_ids
from proctor.verifiers.core import Rollout
from proctor.verifiers.files.rows import Columns, RowError, find_columns
from proctor.verifiers.files.sources import BadRow, InputError, Source

_FIRST_ROWS = 100  # looked at to find the columns
# A prompt file has no completions, or such as are nothing to us; with the field one table of columns serves both.
_NO_COMPLETION = {"completion": ""}


@dataclass(frozen=True, slots=True)
class Problem:
    """One prompt with all that its completions are judged by."""

    prompt_ids: tuple[int, ...]
    rollout: Rollout  # with an empty completion: what every completion of it is filled into

    @property
    def text(self) -> str:
        """The prompt to read: messages as "role: content", a paragraph each."""
        prompt = self.rollout.prompt
        if isinstance(prompt, str):
            return prompt
        return "\n\n".join(f"{turn.get('role', '')}: {turn.get('content', '')}" for turn in prompt)

    def with_completion(self, text: str, *, group: int, num_tokens: int, truncated: bool) -> Rollout:
        return replace(self.rollout, completion=text, group=group, num_tokens=num_tokens, truncated=truncated)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that is not trained on, and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a prompt becomes tokens."""

    tokenizer: PreTrainedTokenizerBase
    template_options: Mapping[str, Any]
    max_tokens: int

    def __call__(self, prompt: str | Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
        """Token ids; messages, and text where there is a chat template, end with the generation prompt.

        Raises RowError for a prompt that cannot be rendered, is empty or too long.
        """
        if isinstance(prompt, str) and self.tokenizer.chat_template is None:
            ids = plain_ids(self.tokenizer, prompt)
        else:
            messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
            try:
                text = self.tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=True, **self.template_options
                )
            except Exception as error:  # the border to the template, which raises what it likes
                raise RowError(f"the chat template refuses the prompt: {error}") from error
            # The template has written the special tokens that belong there.
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) > self.max_tokens:
            raise RowError(f"the prompt has {len(ids)} tokens, more than max_prompt_tokens={self.max_tokens}")
        if not ids:
            raise RowError("the prompt is empty")
        return tuple(ids)


def read_problems(
    paths: Iterable[str], rendering: Rendering, *, needed: Sequence[str], mapping: Mapping[str, str]
) -> tuple[list[Problem], list[Skipped]]:
    """All problems of the files in order, and the rows that could not be used.

    `needed`: columns that the reward cannot do without. Raises InputError for a file without them.
    """
    problems: list[Problem] = []
    skipped: list[Skipped] = []
    for path in paths:
        rows = list(Source(path))
        good = [row for row in rows if not isinstance(row, BadRow)]
        if not good:
            first = f"; the first: line {rows[0].number}: {rows[0].reason}" if rows else ""  # type: ignore[union-attr]
            raise InputError(f"{path}: no row in it can be read{first}")
        columns = _columns(path, [row.data for row in good[:_FIRST_ROWS]], needed, mapping)
        for row in rows:
            if isinstance(row, BadRow):
                skipped.append(Skipped(path, row.number, row.reason))
                continue
            try:
                rollout = columns.rollout({**row.data, **_NO_COMPLETION})
                problems.append(Problem(rendering(rollout.prompt), rollout))
            except RowError as error:
                skipped.append(Skipped(path, row.number, str(error)))
    if not problems:
        raise InputError(f"no usable prompt in {', '.join(paths)}: {skipped[0] if skipped else 'no rows'}")
    return problems, skipped


def fingerprint(problems: Sequence[Problem]) -> str:
    """Of prompts in order: a run goes on only with those it began with, or some would be dealt twice or never."""
    found = hashlib.sha256()
    for problem in problems:
        found.update(repr(problem.prompt_ids).encode())
    return found.hexdigest()[:16]


def _columns(
    path: str, rows: list[Mapping[str, Any]], needed: Sequence[str], mapping: Mapping[str, str]
) -> Columns:
    try:
        return find_columns(
            [{**row, **_NO_COMPLETION} for row in rows], needed=("prompt", *needed), given=mapping
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


@dataclass(slots=True)
class Deck:
    """Deals problems, each once an epoch, shuffled by (seed, epoch); `dealt` is its whole state."""

    num_problems: int
    seed: int
    dealt: int = 0  # since the start of the run
    _epoch: int = field(default=-1, init=False)  # whose order is at hand
    _shuffled: list[int] = field(default_factory=list, init=False, repr=False)

    def deal(self, count: int) -> list[int]:
        """Indices of the next problems; an epoch that ends is followed by the next."""
        chosen = []
        for position in range(self.dealt, self.dealt + count):
            epoch, place = divmod(position, self.num_problems)
            chosen.append(self._order(epoch)[place])
        self.dealt += count
        return chosen

    def _order(self, epoch: int) -> list[int]:
        if self._epoch != epoch:
            self._shuffled = list(range(self.num_problems))
            random.Random(f"{self.seed}/{epoch}").shuffle(self._shuffled)
            self._epoch = epoch
        return self._shuffled
