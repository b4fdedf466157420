"""The reel of a page: scenes are made ahead and read in any order."""

from __future__ import annotations

import threading

import pytest

from facecap_core.errors import Cancelled, StoreError
from facecap_core.reviews.scene_reel import NEAR, SceneReel


def test_scenes_are_read_in_any_order_while_they_are_made():
    go, mended = threading.Event(), []

    def scenes(first):
        for number in range(first, 4):
            if number == 1:
                go.wait(20)
            if number == 2 and not mended:
                raise StoreError("the third is damaged")
            yield f"scene {number}".encode()

    reel = SceneReel(scenes, 4)
    assert reel.read(0) == b"scene 0"
    later = threading.Timer(0.1, go.set)
    later.start()
    assert reel.read(1) == b"scene 1"
    with pytest.raises(StoreError, match="third is damaged"):
        reel.read(2)
    assert reel.read(0) == b"scene 0"
    assert reel.read(3) == b"scene 3", "behind the damage"
    mended.append(2)
    assert reel.read(2) == b"scene 2"
    with pytest.raises(IndexError):
        reel.read(4)
    reel.close()
    with pytest.raises(Cancelled):
        reel.read(0)


def test_what_is_asked_for_is_made_before_the_rest():
    count, made, begun = 200, [], []
    going = threading.Semaphore(0)

    def scenes(first):
        begun.append(first)
        for number in range(first, count):
            going.acquire(timeout=20)
            made.append(number)
            yield bytes([number])

    reel = SceneReel(scenes, count)
    for number in (0, 150, 150 + NEAR, 20):
        reader = threading.Thread(target=reel.read, args=(number,))
        reader.start()
        while not reel._asked and reader.is_alive():  # until it waits
            pass
        while reader.is_alive():
            going.release()
            reader.join(0.01)
    assert begun[0] == 0
    assert 150 in begun
    assert 20 in begun
    assert 150 + NEAR not in begun, "made on the way"
    assert made.index(150 + NEAR) == made.index(150) + NEAR
    for _ in range(count):
        going.release()
    assert [reel.read(number)[0] for number in range(count)] == list(range(count))
    assert sorted(made) == list(range(count)), "each once"
    reel.close()
