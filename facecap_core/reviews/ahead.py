"""Ahead: an iterator that is worked through on a thread of its own, a little in front of who takes from it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_LOOK_SECONDS = 0.2


@contextmanager
def ahead(items: Generator[_Item, None, None], most: int) -> Iterator[Iterator[_Item]]:
    """The same items, at most so many of them waiting. An error comes where the item would have come.

    When the block ends, however it ends, so does the work on `items`.
    """
    waiting: queue.Queue[tuple[bool, _Item | BaseException | None]] = queue.Queue(most)
    ended = threading.Event()

    def put(whole: tuple[bool, _Item | BaseException | None]) -> bool:
        while not ended.is_set():
            try:
                waiting.put(whole, timeout=_LOOK_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            with closing(items):
                for item in items:
                    if not put((True, item)):
                        return
            put((False, None))
        except BaseException as error:
            put((False, error))

    def taken() -> Iterator[_Item]:
        while True:
            more, item = waiting.get()
            if not more:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        ended.set()
        thread.join()
