"""Scene reel: the packed scenes of a shot, made on a thread of their own and kept in a file without a name."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import closing

from facecap_core.errors import Cancelled

NEAR = 4
"""Scenes that are made on the way; for those further ahead the making begins anew."""


class SceneReel:
    """Scenes that are read in any order: what is asked for last is made first, the rest when nothing is asked for."""

    def __init__(
        self, scenes_from: Callable[[int], Generator[bytes, None, None]], count: int
    ) -> None:
        """scenes_from: makes the scenes from a number on."""
        self._scenes_from, self._count = scenes_from, count
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._spans: dict[int, tuple[int, int]] = {}  # offset, length
        self._errors: dict[int, Exception] = {}
        self._asked: list[int] = []  # by those who wait, the latest last
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._make, daemon=True)
        self._thread.start()

    def read(self, number: int) -> bytes:
        """The scene of that number, as soon as it is made.

        Raises:
            IndexError: there is none. Cancelled: the reel is closed. Whatever its making raised.
        """
        if not 0 <= number < self._count:
            raise IndexError(number)
        with self._changed:
            self._errors.pop(number, None)  # what was not there may be there now
            self._asked.append(number)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._known(number) or self._closed)
            self._asked.remove(number)
            if self._closed:
                raise Cancelled("the review has ended")
            if number in self._errors:
                raise self._errors[number]
            offset, length = self._spans[number]
            self._file.seek(offset)
            return self._file.read(length)

    def close(self) -> None:
        """End the making, and forget all that was made."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._file.close()

    def _known(self, number: int) -> bool:
        return number in self._spans or number in self._errors

    def _latest(self) -> int | None:
        """What was asked for last of that which is still to be made."""
        return next((n for n in reversed(self._asked) if not self._known(n)), None)

    def _make(self) -> None:
        while (number := self._next()) is not None:
            try:
                with closing(self._scenes_from(number)) as scenes:
                    for number in range(number, self._count):  # noqa: B020
                        if not self._keep(number, next(scenes)) or self._turns_away(number + 1):
                            break
            except Exception as error:
                with self._changed:
                    self._errors[number] = error
                    self._changed.notify_all()

    def _next(self) -> int | None:
        """Where the making begins next; None: it has ended. After an error only what is asked for is made."""
        with self._changed:
            while not self._closed:
                if (latest := self._latest()) is not None:
                    return min(
                        n for n in self._asked if n <= latest <= n + NEAR and not self._known(n)
                    )
                left = (number for number in range(self._count) if number not in self._spans)
                if not self._errors and (gap := next(left, None)) is not None:
                    return gap
                self._changed.wait()
            return None

    def _turns_away(self, number: int) -> bool:
        """Whether something else than the scene of this number, which comes next, is to be made."""
        with self._changed:
            latest = self._latest()
            elsewhere = latest is not None and not number <= latest <= number + NEAR
            return elsewhere or self._known(number)

    def _keep(self, number: int, scene: bytes) -> bool:
        with self._changed:
            if self._closed:
                return False
            offset = self._file.seek(0, 2)
            self._file.write(scene)
            self._spans[number] = offset, len(scene)
            self._changed.notify_all()
            return True
