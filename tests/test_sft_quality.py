"""The quality report finds planted faults, and only those; contamination on real evaluation sets."""

import json

import pytest

from proctor.sft.chat import conversation_of
from proctor.sft.contamination import overlaps
from proctor.sft.duplicates import exact_groups, near_groups, ngrams
from proctor.sft.quality import Quality, judge_quality
from proctor.sft.quality_page import histogram, write_page
from proctor.verifiers.core import Score
from tests.shared_data import FOLDER, needs_shared_data

STORY = (
    "A farmer has {n} apples and gives {m} of them away to the children of the village every single morning."
)


def rows(*pairs: tuple[str, str], **columns):
    return [
        conversation_of({"prompt": prompt, "completion": completion, **columns}, f"row {place}")
        for place, (prompt, completion) in enumerate(pairs)
    ]


def finding(quality: Quality, name: str):
    return next(each for each in quality.findings if each.name == name)


def test_equal_texts_but_for_case_and_white_space_are_duplicates():
    assert exact_groups(["Two  plus two", "two plus TWO", "three"]) == [[0, 1]]


def test_near_texts_are_grouped_and_far_ones_are_not():
    long = " ".join(f"word{place}" for place in range(60))
    texts = [long, long + " end", "something else entirely, about quite other things and people", long]
    assert near_groups(texts) == [[0, 1, 3]]


def test_a_short_text_is_one_ngram():
    assert ngrams(["a", "b"], 3) == {("a", "b")}
    assert ngrams([], 3) == set()


def test_contamination_needs_a_long_overlap():
    question = STORY.format(n=12, m=3) + " How many are left after one week has gone by?"
    found = overlaps(["Solve: " + question, "A farmer has 12 apples."], {"test": ["other " * 20, question]})
    assert [(hit.row, hit.question, hit.share) for hit in found] == [(0, 1, 1.0)]


def test_a_short_question_must_be_there_whole():
    assert overlaps(["what is 2 + 2 ? it is 4"], {"test": ["What is 2 + 2?"]})[0].share == 1.0
    assert overlaps(["what is 2 + 3 ? it is 5"], {"test": ["What is 2 + 2?"]}) == []


@needs_shared_data
def test_no_question_of_gsm8k_test_is_in_its_training_set_and_a_planted_one_is_found():
    def questions(name: str, limit: int) -> list[str]:
        with (FOLDER / name).open() as file:
            return [json.loads(line)["question"] for _, line in zip(range(limit), file, strict=False)]

    test, training = questions("gsm8k_test.jsonl", 300), questions("gsm8k_train.jsonl", 600)
    assert overlaps(training, {"gsm8k": test}) == []
    assert [hit.row for hit in overlaps([*training, test[7].upper()], {"gsm8k": test})] == [600]


class Exact:
    """A reward that compares text; None for an answer of '?'."""

    def score(self, rollouts, *, step=0):
        return [
            Score(None if rollout.answer == "?" else float(rollout.completion == rollout.answer), {})
            for rollout in rollouts
        ]


def test_correctness_judges_rows_with_a_reference_and_no_verdict_is_not_wrong():
    data = [
        conversation_of({"prompt": "1+1", "completion": "2", "answer": "2"}, "right"),
        conversation_of({"prompt": "1+2", "completion": "4", "answer": "3"}, "wrong"),
        conversation_of({"prompt": "1+3", "completion": "4", "answer": "?"}, "unjudged"),
        conversation_of({"prompt": "hello", "completion": "hi", "answer": None}, "without"),
    ]
    wrong = finding(judge_quality(data, reward=Exact()), "wrong")
    assert wrong.rows == {1}
    assert "1 of 3 rows (33.3%)" in wrong.summary
    assert "1 could not be judged, 1 have no reference" in wrong.summary


def test_rows_that_lack_the_common_style_are_odd():
    data = rows(*[(f"q{n}", f"so \\boxed{{{n}}}") for n in range(19)], ("q19", "it is 19"))
    odd = finding(judge_quality(data), "odd_style")
    assert odd.rows == {19}
    assert odd.looks[0].why == "has no boxed answer"


def test_filters_drop_what_the_findings_name():
    data = rows(("2+2", "4"), ("2+2", "4"), ("3+4", "7"))
    quality = judge_quality(data)
    assert quality.dropped(["exact_duplicates"]) == {1}
    assert quality.dropped([]) == frozenset()
    with pytest.raises(KeyError, match="unknown filter 'exact'; known are exact_duplicates"):
        quality.dropped(["exact"])


def test_distinct_ngrams_are_counted():
    """'a b a b': 2 of 4 words, 2 of 3 pairs, 2 of 2 triples are distinct."""
    summary = finding(judge_quality(rows(("q", "a b a b"))), "diversity").summary
    assert summary.startswith("distinct-1 50.0%, distinct-2 66.7%, distinct-3 100.0%")


def test_histogram_counts_every_row():
    bars = histogram([0, 1, 1, 100])
    assert sum(count for _, count, _ in bars) == 4
    assert max(height for *_, height in bars) == 1.0
    assert histogram([]) == []


def test_the_page_is_one_file_and_escapes_what_rows_say(tmp_path):
    data = rows(*[(f"q{n}", f"\\boxed{{{n}}}") for n in range(19)], ("q", "<script>alert(1)</script>"))
    write_page(judge_quality(data), tmp_path / "report.html", title="Demo & more")
    page = (tmp_path / "report.html").read_text()
    assert "Demo &amp; more: 20 rows" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
    assert "filter: odd_style" in page
    assert "http" not in page


def test_no_rows_are_no_crash(tmp_path):
    write_page(judge_quality([]), tmp_path / "empty.html")
