"""How good the demonstrations are: lengths, duplicates, diversity, style, correctness, contamination.

Each finding names the rows to look at; most can be applied as a filter (`data.filters`). What it does not
see: whether an answer without a reference is right, and paraphrases of evaluation questions.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from proctor.sft.chat import Conversation, text_of
from proctor.sft.contamination import overlaps
from proctor.sft.duplicates import exact_groups, near_groups, ngrams, words
from proctor.sft.settings import Filter
from proctor.verifiers.core import Reward, Score
from proctor.verifiers.files.rows import find_columns

FILTERS: tuple[str, ...] = get_args(Filter)

# How answers are dressed; a style that most rows have and some lack teaches two habits.
_STYLES = {
    "boxed answer": re.compile(r"\\boxed\s*\{"),
    "#### answer": re.compile(r"^####", re.MULTILINE),
    "<think> block": re.compile(r"<think>.*?</think>", re.DOTALL),
    "<answer> block": re.compile(r"<answer>.*?</answer>", re.DOTALL),
    "code block": re.compile(r"```"),
    "final sentence 'the answer is'": re.compile(r"\bthe (?:final )?answer is\b", re.IGNORECASE),
}
_DOMINANT = 0.9  # a style that at least this share of the rows has is taken for the rule
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Look:
    """One row to look at."""

    source: str
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was measured."""

    name: str  # as a filter, where it is one
    title: str
    summary: str
    rows: frozenset[int] = frozenset()  # what the filter would drop
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True)
class Quality:
    """All findings over a data set."""

    num_rows: int
    lengths: Sequence[int]  # words of each row's answers
    findings: tuple[Finding, ...]

    def dropped(self, filters: Collection[str]) -> frozenset[int]:
        """Rows that the named filters drop. Raises KeyError for a name that is no filter."""
        unknown = [name for name in filters if name not in FILTERS]
        if unknown:
            raise KeyError(f"unknown filter '{unknown[0]}'; known are {', '.join(FILTERS)}")
        chosen = [finding.rows for finding in self.findings if finding.name in filters]
        return frozenset().union(*chosen)


def judge_quality(
    conversations: Sequence[Conversation],
    *,
    reward: Reward | None = None,
    evaluation_sets: Mapping[str, Sequence[str]] | None = None,
) -> Quality:
    """Judges all rows. reward: for rows with an answer or tests. evaluation_sets: questions by name."""
    lengths = [sum(len(words(answer)) for answer in row.answers) for row in conversations]
    findings = [_lengths(conversations, lengths), *_duplicates(conversations), *_diversity(conversations)]
    findings.append(_style(conversations))
    if reward is not None:
        findings.append(_correctness(conversations, reward))
    if evaluation_sets:
        findings.append(_contamination(conversations, evaluation_sets))
    return Quality(len(conversations), lengths, tuple(findings))


def _lengths(conversations: Sequence[Conversation], lengths: Sequence[int]) -> Finding:
    if not lengths:
        return Finding("lengths", "Length of answers", "there are no rows")
    ordered = sorted(lengths)
    cuts = {share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.9, 0.99)}
    longest = sorted(range(len(lengths)), key=lambda index: -lengths[index])[:3]
    summary = (
        f"{ordered[0]:,} to {ordered[-1]:,} words, mean {statistics.fmean(lengths):,.1f}; "
        f"half have at most {cuts[0.5]:,}, 90% {cuts[0.9]:,}, 99% {cuts[0.99]:,}"
    )
    looks = _looks(conversations, longest, lambda index: f"{lengths[index]:,} words")
    return Finding("lengths", "Length of answers", summary, looks=looks)


def _duplicates(conversations: Sequence[Conversation]) -> list[Finding]:
    texts = [_whole(row) for row in conversations]
    findings = []
    for name, title, groups in (
        ("exact_duplicates", "Exact duplicates", exact_groups(texts)),
        ("near_duplicates", "Near duplicates", near_groups(texts)),
    ):
        later = frozenset(index for group in groups for index in group[1:])
        firsts = {index: group[0] for group in groups for index in group[1:]}
        findings.append(
            Finding(
                name,
                title,
                f"{_share(len(later), len(texts))} repeat an earlier row, in {len(groups):,} groups",
                later,
                _looks(conversations, sorted(later), lambda i, f=firsts: f"as {conversations[f[i]].source}"),
            )
        )
    return findings


def _diversity(conversations: Sequence[Conversation]) -> list[Finding]:
    answers = [words(" ".join(row.answers)) for row in conversations]
    parts = []
    for size in (1, 2, 3):
        total = sum(max(0, len(answer) - size + 1) for answer in answers)
        distinct = len(set().union(*(ngrams(answer, size) for answer in answers if len(answer) >= size)))
        parts.append(f"distinct-{size} {distinct / total:.1%}" if total else f"distinct-{size} none")
    groups = near_groups([row.question for row in conversations], threshold=0.5)
    clustered = sum(map(len, groups))
    summary = f"{len(groups):,} clusters of similar prompts hold {_share(clustered, len(conversations))}"
    firsts = [group[0] for group in groups]
    sizes = {group[0]: len(group) for group in groups}
    return [
        Finding("diversity", "Diversity of answers", ", ".join(parts) + " of all n-grams"),
        Finding(
            "clusters",
            "Clusters of prompts",
            summary,
            looks=_looks(conversations, firsts, lambda index: f"first of {sizes[index]:,} alike"),
        ),
    ]


def _style(conversations: Sequence[Conversation]) -> Finding:
    total, parts = len(conversations), []
    odd: dict[int, str] = {}
    for style, pattern in _STYLES.items():
        having = [bool(row.answers and pattern.search(row.answers[-1])) for row in conversations]
        count = sum(having)
        if count:
            parts.append(f"{style} {count / total:.0%}")
        if _DOMINANT * total <= count < total:
            odd.update({index: f"has no {style}" for index, has in enumerate(having) if not has})
    summary = ", ".join(parts) or "no known style of answer"
    return Finding(
        "odd_style",
        "Style of answers",
        f"{summary}; {_share(len(odd), total)} lack what at least {_DOMINANT:.0%} have",
        frozenset(odd),
        _looks(conversations, sorted(odd), odd.__getitem__),
    )


def _correctness(conversations: Sequence[Conversation], reward: Reward) -> Finding:
    """Rows with a reference, judged by the reward that RL will use. No verdict is not wrong."""
    rows = [{**row.row, "prompt": row.question, "completion": row.answers[-1]} for row in conversations]
    columns = find_columns(rows)
    names = set(columns.sources) & {"answer", "tests"}
    judged = [index for index, row in enumerate(rows) if any(row.get(columns.sources[n]) for n in names)]
    if not judged:
        return Finding("wrong", "Correctness", "no row has an answer or tests to judge by")
    scores = dict(zip(judged, reward.score([columns.rollout(rows[i]) for i in judged]), strict=True))
    wrong = [index for index, score in scores.items() if score.total is not None and score.total <= 0]
    unscored = sum(score.total is None for score in scores.values())
    summary = (
        f"{_share(len(wrong), len(judged))} of the rows with a reference earn nothing; "
        f"{unscored:,} could not be judged, {len(rows) - len(judged):,} have no reference"
    )
    looks = _looks(conversations, wrong, lambda index: _why(scores[index]))
    return Finding("wrong", "Correctness", summary, frozenset(wrong), looks)


def _contamination(
    conversations: Sequence[Conversation], evaluation_sets: Mapping[str, Sequence[str]]
) -> Finding:
    found = {
        overlap.row: overlap for overlap in overlaps([_whole(row) for row in conversations], evaluation_sets)
    }
    by_set = {name: sum(each.evaluation_set == name for each in found.values()) for name in evaluation_sets}
    parts = ", ".join(f"{count:,} with {name}" for name, count in by_set.items())

    def why(index: int) -> str:
        hit = found[index]
        return f"{hit.share:.0%} of {hit.evaluation_set}[{hit.question}], '{hit.shared}'"

    summary = f"{_share(len(found), len(conversations))} share text with evaluation questions: {parts}"
    return Finding(
        "contaminated", "Contamination", summary, frozenset(found), _looks(conversations, sorted(found), why)
    )


def _looks(
    conversations: Sequence[Conversation], rows: Iterable[int], why: Callable[[int], str]
) -> tuple[Look, ...]:
    chosen = list(rows)[:_SHOWN]
    return tuple(Look(conversations[i].source, _whole(conversations[i])[:600], why(i)) for i in chosen)


def _whole(row: Conversation) -> str:
    """All that is said in a row."""
    if not row.messages:
        return f"{row.prompt}\n{row.completion}"
    return "\n".join(text_of(message) for message in row.messages)


def _why(score: Score) -> str:
    return "; ".join(f"{name}: {verdict}" for name, verdict in score.verdicts.items())


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} rows ({part / whole:.1%})" if whole else "0 rows"
