"""Scene reel: the packed scenes of a shot, made ahead on a thread of their own and kept in a file without a name."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator

from facecap_core.errors import Cancelled


class SceneReel:
    """What is read in any order of scenes that are made in theirs."""

    def __init__(self, scenes: Iterator[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._spans: list[tuple[int, int]] = []  # offset, length
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._make, args=(scenes,), daemon=True)
        self._thread.start()

    def read(self, number: int) -> bytes:
        """The scene of that number, as soon as it is made.

        Raises:
            IndexError: there is none. Cancelled: the reel is closed. Whatever their making raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: number < len(self._spans) or self._ended or self._closed)
            if self._closed:
                raise Cancelled("the review has ended")
            if number >= len(self._spans):
                raise self._error or IndexError(number)
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

    def _make(self, scenes: Iterator[bytes]) -> None:
        offset = 0
        try:
            for scene in scenes:
                with self._changed:
                    if self._closed:
                        return
                    self._file.seek(offset)
                    self._file.write(scene)
                    self._spans.append((offset, len(scene)))
                    offset += len(scene)
                    self._changed.notify_all()
        except Exception as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
