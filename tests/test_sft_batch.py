"""Batches: shift, padding, packing, and groups that hold every sequence once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from proctor.sft.batch import (
    IGNORED,
    Example,
    global_batches,
    micro_batches,
    pack_examples,
    packed_bins,
    pad_examples,
)

SHORT = Example([5, 6], [False, True])
LONG = Example([1, 2, 3, 4], [False, False, True, True], [0.0, 0.0, 0.5, 2.0])

lengths = st.lists(st.integers(1, 50), min_size=4, max_size=60)


def test_the_target_of_a_position_is_the_next_token_where_that_is_trained():
    batch = pad_examples([SHORT, LONG], pad_id=9)
    assert batch.input_ids.tolist() == [[5, 9, 9], [1, 2, 3]]
    assert batch.targets.tolist() == [[6, IGNORED, IGNORED], [IGNORED, 3, 4]]
    assert batch.weights.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.5, 2.0]]
    assert batch.sequence_ids.tolist() == [[0, -1, -1], [1, 1, 1]]


def test_padding_counts_positions_on_and_its_share_is_known():
    batch = pad_examples([SHORT, LONG], pad_id=9)
    assert batch.position_ids.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert batch.padding_share == pytest.approx(1 / 3)  # 2 of 6


def test_a_packed_row_is_a_line_of_blocks_that_start_positions_again():
    """SHORT is padded to LONG: two positions cost less than a block. The third is far longer."""
    batch = pack_examples([SHORT, LONG, Example(range(20), [True] * 20)], pad_id=9)
    assert batch.blocks == ((1, 19), (2, 3))
    assert batch.input_ids.tolist() == [[*range(19), 1, 2, 3, 5, 9, 9]]
    assert batch.position_ids.tolist() == [[*range(19), 0, 1, 2, 0, 1, 2]]
    assert batch.targets.tolist() == [[*range(1, 20), IGNORED, 3, 4, 6, IGNORED, IGNORED]]
    assert batch.sequence_ids.tolist() == [[2] * 19 + [1, 1, 1, 0, -1, -1]]
    assert batch.weights.tolist() == [[1.0] * 19 + [0.0, 0.5, 2.0, 1.0, 0.0, 0.0]]
    assert batch.num_tokens == 23


def test_the_last_token_of_a_packed_sequence_does_not_learn_the_next_sequence():
    trained_everywhere = Example([1, 2], [True, True])
    assert pack_examples([trained_everywhere, trained_everywhere]).targets.tolist() == [[2, 2]]


def test_no_position_is_spent_on_the_last_token_and_a_single_token_is_kept():
    assert pad_examples([LONG], pad_id=0).input_ids.tolist() == [[1, 2, 3]]
    lonely = pad_examples([Example([7], [True])], pad_id=0)
    assert (lonely.input_ids.tolist(), lonely.targets.tolist()) == ([[7]], [[IGNORED]])


def test_lists_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="example 0: token_ids, trained and weights differ"):
        pad_examples([Example([1, 2], [True])], pad_id=0)


@settings(deadline=None)
@given(lengths, st.integers(20, 200), st.integers(1, 4))
def test_micro_batches_hold_every_index_once_within_the_budget(lengths, budget, processes):
    groups = micro_batches(lengths, token_budget=budget, multiple_of=processes)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    assert len(groups) % processes == 0
    if len(lengths) % processes:
        return  # the shortest may have been joined over the budget
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[index] for index in group) <= budget


@settings(deadline=None)
@given(lengths, st.integers(20, 200), st.integers(1, 4))
def test_packed_bins_hold_every_index_once_within_the_capacity(lengths, capacity, processes):
    bins = packed_bins(lengths, capacity=capacity, multiple_of=processes)
    assert sorted(index for group in bins for index in group) == list(range(len(lengths)))
    assert len(bins) % processes == 0
    if len(lengths) % processes:
        return  # the shortest may have been joined over the capacity
    for group in bins:
        assert len(group) == 1 or sum(lengths[index] for index in group) <= capacity


def test_grouping_by_length_saves_padding():
    """Lengths 10 and 40 alternate: mixed, 3/8 of the positions are padding; grouped, none."""
    groups = micro_batches([10, 40] * 8, token_budget=160)
    assert all(len({[10, 40][index % 2] for index in group}) == 1 for group in groups)


def test_short_rows_are_not_padded_to_fill_a_group_of_long_ones():
    """20 rows of 30 tokens and 30 of 15, budget 1,024: filling would put 14 short rows among the long."""
    groups = micro_batches([30] * 20 + [15] * 30, token_budget=1024)
    assert [len(group) for group in groups] == [20, 30]


def test_a_few_tokens_of_padding_are_cheaper_than_another_group():
    assert len(micro_batches([10, 11, 12, 13], token_budget=1024)) == 1


def test_best_fit_fills_rows():
    assert packed_bins([6, 4, 5, 5], capacity=10) == [[0, 1], [2, 3]]


def test_sequences_that_cannot_fill_the_next_multiple_are_joined():
    assert micro_batches([9, 9, 9, 2, 1], token_budget=9, multiple_of=3) == [[0], [1], [2, 3, 4]]


def test_too_few_sequences_for_the_processes_are_an_error():
    with pytest.raises(ValueError, match="1 sequences cannot be shared out to 2 processes"):
        micro_batches([3], token_budget=10, multiple_of=2)


@given(st.integers(1, 50), st.integers(1, 12), st.integers(0, 3))
def test_an_epoch_holds_every_example_once_in_the_same_order_each_time(count, batch_size, epoch):
    steps = global_batches(count, batch_size, seed=7, epoch=epoch)
    assert sorted(index for step in steps for index in step) == list(range(count))
    assert steps == global_batches(count, batch_size, seed=7, epoch=epoch)


def test_epochs_differ_and_a_rest_too_small_for_the_processes_joins_the_step_before():
    assert global_batches(20, 20, seed=7, epoch=0) != global_batches(20, 20, seed=7, epoch=1)
    assert [len(step) for step in global_batches(9, 4, seed=0, epoch=0, at_least=2)] == [4, 5]


def test_moving_a_batch_keeps_what_is_none():
    moved = pack_examples([SHORT]).to("cpu")
    assert moved.weights is None
    assert moved.input_ids.device == torch.device("cpu")
