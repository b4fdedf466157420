"""Order: the frames that steps take, the neighbours of frames."""

from __future__ import annotations

import torch

from facecap_core.learning.order import Order, neighbours

SHOTS = (("a", 7), ("b", 10), ("c", 1), ("d", 2))


def epoch(order, number):
    return order.batch(number * 20, 20)


def test_every_frame_comes_once_an_epoch_in_another_order_each_time():
    order = Order(20, 3)
    first, second = epoch(order, 0), epoch(order, 1)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(20))
    assert first.tolist() != second.tolist()


def test_the_stream_does_not_depend_on_how_it_is_cut_or_on_what_was_asked_before():
    order = Order(20, 3)
    whole = order.batch(0, 60)
    parts = [order.batch(start, 7) for start in range(0, 56, 7)]
    assert torch.equal(torch.cat(parts), whole[:56])
    assert torch.equal(Order(20, 3).batch(33, 20), whole[33:53])
    assert not torch.equal(Order(20, 4).batch(0, 60), whole)


def test_a_batch_larger_than_the_set_takes_whole_epochs():
    frames = Order(7, 3).batch(0, 50).tolist()
    for start in range(0, 49, 7):
        assert sorted(frames[start : start + 7]) == list(range(7))
    assert len(frames) == 50


def test_the_neighbour_is_the_next_frame_of_the_same_shot_or_the_one_before():
    beside = neighbours(SHOTS)
    expected = [*range(1, 7), 5, *range(8, 17), 15, 17, 19, 18]
    assert beside.tolist() == expected
