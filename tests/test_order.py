"""Order: the frames that steps take, one by one or as neighbours."""

from __future__ import annotations

import pytest
import torch

from facecap_core.learning.order import Order

SHOTS = (("a", 7), ("b", 10), ("c", 1), ("d", 2))
CPU = torch.device("cpu")


def epoch(order, number):
    return order.batch(number * order.frames, order.frames)


def test_every_frame_comes_once_an_epoch_in_another_order_each_time():
    order = Order(SHOTS, 3, CPU)
    first, second = epoch(order, 0), epoch(order, 1)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert first.tolist() != second.tolist()


def test_the_stream_does_not_depend_on_how_it_is_cut_or_on_what_was_asked_before():
    order = Order(SHOTS, 3, CPU)
    whole = order.batch(0, 60)
    parts = [order.batch(start, 7) for start in range(0, 56, 7)]
    assert torch.equal(torch.cat(parts), whole[:56])
    assert torch.equal(Order(SHOTS, 3, CPU).batch(33, 20), whole[33:53])
    assert not torch.equal(Order(SHOTS, 4, CPU).batch(0, 60), whole)


@pytest.mark.parametrize("number", [0, 1, 6, 7])
def test_pairs_are_neighbours_of_one_shot(number):
    order = Order(SHOTS, 3, CPU, pairs=True)
    assert order.frames == 6 + 10 + 0 + 2
    pairs = epoch(order, number).reshape(-1, 2)
    assert ((pairs[:, 1] - pairs[:, 0]) == 1).all()
    shot_of = torch.tensor([0] * 7 + [1] * 10 + [2] + [3] * 2)
    assert torch.equal(shot_of[pairs[:, 0]], shot_of[pairs[:, 1]])


def test_pairs_change_from_epoch_to_epoch_and_two_epochs_leave_no_frame_out():
    order = Order(SHOTS, 3, CPU, pairs=True)
    first, second = (epoch(order, number).reshape(-1, 2) for number in (0, 1))
    both = {tuple(pair) for pair in first.tolist()} & {tuple(pair) for pair in second.tolist()}
    assert both == {(15, 16), (18, 19)}, (
        "an even number of frames has its last two as a pair in both"
    )
    seen = set(first.flatten().tolist()) | set(second.flatten().tolist())
    assert seen == set(range(20)) - {17}, "a shot of one frame has none"
