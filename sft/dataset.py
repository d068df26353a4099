"""The rows of a run: read, labelled, checked for length, split, proved, and held compactly."""

from __future__ import annotations

import hashlib
import random
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from transformers import PreTrainedTokenizerBase

from proctor.sft.batch import Example
from proctor.sft.chat import Conversation, DataError, read_conversations
from proctor.sft.labels import Labelled, Labeller, truncate
from proctor.sft.proof import Failure, Fault, Proof, Prover
from proctor.sft.settings import DataSettings, Overlong
from proctor.sft.template import LabelError
from proctor.verifiers.files.sources import InputError


class MaskError(InputError):
    """The mask proof failed; nothing was trained."""


@dataclass(slots=True)
class Rows:
    """Labelled rows and what became of the others."""

    labelled: list[Labelled] = field(default_factory=list)
    num_conversations: int = 0
    num_dropped: int = 0  # longer than allowed
    num_truncated: int = 0
    unreadable: list[Failure] = field(default_factory=list)  # the template gives no spans


@dataclass(frozen=True, slots=True)
class Data:
    """What a run trains and evaluates on."""

    training: Sequence[Labelled]
    held_back: Sequence[Labelled]
    rows: Rows  # all that were read for training
    proof: Proof  # over training and held-back rows

    @property
    def examples(self) -> list[Example]:
        """What is trained."""
        return [row.example for row in self.training]

    @property
    def fingerprint(self) -> str:
        """A hash of all tokens, labels and weights: a resumed run must see the same data in the same order."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(array("q", example.token_ids).tobytes() + bytes(example.trained) + b"|")
            digest.update(array("f", example.weights or ()).tobytes())
        return digest.hexdigest()[:16]

    def require_proof(self) -> None:
        """Raises MaskError where the proof does not hold."""
        if not self.proof.holds:
            found = [f"{count} rows with fault '{fault.value}'" for fault, count in self.proof.faults.items()]
            raise MaskError(f"the mask is not proved: {', '.join(found) or 'there are no rows'}")
        if not self.training:
            raise MaskError(f"all {len(self.held_back)} rows are held back, so that none is left to train on")


def load_data(
    settings: DataSettings,
    tokenizer: PreTrainedTokenizerBase,
    end_ids: Sequence[int],
    seed: int,
    conversations: Iterable[Conversation] | None = None,
) -> Data:
    """Reads (or takes), labels, splits and proves all rows. Raises DataError for a row of no known shape."""
    labeller = Labeller(
        tokenizer,
        turns=settings.turns,
        template_options=settings.template_options,
        end_ids=end_ids,
        weight_column=settings.weight_column,
    )
    given = read_conversations(settings.train) if conversations is None else conversations
    rows = label_rows(given, labeller, max_length=settings.max_length, overlong=settings.overlong)
    _check_rows(rows, settings)
    unreadable = list(rows.unreadable)
    if settings.evaluation:
        others = read_conversations(settings.evaluation)
        more = label_rows(others, labeller, max_length=settings.max_length, overlong=settings.overlong)
        training, held_back = rows.labelled, more.labelled
        unreadable += more.unreadable
    else:
        training, held_back = split_rows(rows.labelled, settings.evaluation_share, seed=seed)
    proof = Prover(labeller, min_trained=settings.min_trained_tokens).prove([*training, *held_back])
    for failure in unreadable:
        proof.add(failure)
    return Data(training, held_back, rows, proof)


def _check_rows(rows: Rows, settings: DataSettings) -> None:
    """What would otherwise be trained without a word, or not at all."""
    if rows.num_dropped and not (rows.labelled or rows.unreadable):
        raise DataError(
            f"all {rows.num_dropped} rows are longer than data.max_length = {settings.max_length}"
        )
    column = settings.weight_column
    if column and rows.labelled and not any(column in row.conversation.row for row in rows.labelled):
        raise DataError(f"data.weight_column: no row has a column '{column}'")


def label_rows(
    conversations: Iterable[Conversation], labeller: Labeller, *, max_length: int, overlong: Overlong
) -> Rows:
    """Labels a stream of conversations. Rows that cannot be labelled are failures, not exceptions.

    Raises DataError for a longer row where overlong is "error".
    """
    rows = Rows()
    for conversation in conversations:
        rows.num_conversations += 1
        try:
            labelled = labeller.rows(conversation)
        except LabelError as error:
            rows.unreadable.append(Failure(conversation.source, Fault.UNREADABLE, str(error)))
            continue
        for row in labelled:
            _keep(rows, row, max_length, overlong)
    return rows


def split_rows(rows: Sequence[Labelled], share: float, *, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """(training, held back): a share of the *conversations*, so that no turn of one is in both."""
    sources = list(dict.fromkeys(row.conversation.source for row in rows))
    random.Random(seed).shuffle(sources)
    held = set(sources[: round(share * len(sources))])
    training = [row for row in rows if row.conversation.source not in held]
    return training, [row for row in rows if row.conversation.source in held]


def _keep(rows: Rows, row: Labelled, max_length: int, overlong: Overlong) -> None:
    if len(row.example) > max_length:
        if overlong == "error":
            raise DataError(
                f"{row.conversation.source}: {len(row.example)} tokens, at most {max_length} are allowed; "
                "raise data.max_length, or set data.overlong to 'drop' or 'truncate'"
            )
        if overlong == "drop":
            rows.num_dropped += 1
            return
        rows.num_truncated += 1
        row = truncate(row, max_length)
    rows.labelled.append(_compact(row))


def _compact(row: Labelled) -> Labelled:
    """Four bytes a token and one a label, instead of two pointers and an int object."""
    example = row.example
    weights = None if example.weights is None else array("f", example.weights)
    small = Example(array("i", example.token_ids), bytes(example.trained), weights)
    return replace(row, example=small)
