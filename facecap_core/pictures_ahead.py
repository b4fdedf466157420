"""Pictures ahead: those of a shot's cameras, decoded while the network works on the ones before."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from facecap_core.errors import FootageError
from facecap_core.footage.footage import Footage, FrameBatch
from facecap_core.footage.source import FootageInfo
from facecap_core.progress import OnProgress, Progress, report

# The weights of the last layers are read once a batch: of 16 frames the network takes a sixth longer.
BATCH_FRAMES = 32
QUEUED_BATCHES = 4  # memory stays flat: what waits between two stages is bounded
PATIENCE_SECONDS = 1.0  # without a picture, until the caller is told so


@dataclass(frozen=True)
class Decoding:
    """What has to be decoded for a model, here or on another machine."""

    footage: Path
    crop: tuple[int, int, int, int]
    fps: Fraction
    picture_size: tuple[int, int]
    hardware: bool = False  # a device of the machine may decode, see `Footage`


@dataclass(frozen=True)
class Pictures:
    """A shot's pictures on their way: what the first one tells, they themselves, and what decodes them."""

    info: FootageInfo
    batches: Iterator[FrameBatch]
    decoder: str = ""


def decode(decoding: Decoding) -> Pictures:
    """The pictures, decoded in this process.

    Raises:
        FootageError: by its named kinds.
    """
    source = Footage(
        decoding.footage,
        crop=decoding.crop,
        fps=decoding.fps,
        picture_size=decoding.picture_size,
        hardware=decoding.hardware,
    )
    batches = source.batches(BATCH_FRAMES)
    return Pictures(source.info, batches, source.decoder)


@dataclass
class Clock:
    """Where the time of a shot goes; each field is written by one thread."""

    waited_seconds: float = 0.0  # that the network waited for pictures
    solving_seconds: float = 0.0  # of the calls that start it
    fetching_seconds: float = 0.0  # that writing waited for it, on a GPU

    @property
    def network_seconds(self) -> float:
        return self.solving_seconds + self.fetching_seconds

    def figures(self) -> dict[str, float]:
        return {
            "waited_seconds": self.waited_seconds,
            "network_seconds": self.network_seconds,
        }


class PicturesAhead:
    """The decoder's batches of all cameras, decoded on threads of their own up to a few ahead."""

    def __init__(
        self, decoder: Callable[[Decoding], Pictures], decodings: Mapping[str, Decoding]
    ) -> None:
        self._views = {camera: _Ahead(decoder, one) for camera, one in decodings.items()}

    def __enter__(self) -> PicturesAhead:
        for view in self._views.values():
            view.start()
        return self

    def __exit__(self, *error: object) -> None:
        for view in self._views.values():
            view.stop()

    @property
    def info(self) -> FootageInfo | None:
        """Of the first camera's footage; None before its decoder has begun."""
        return next(iter(self._views.values())).info

    @property
    def total(self) -> int | None:
        """Pictures of the shot, as far as known."""
        return next(iter(self._views.values())).total

    @property
    def decoder(self) -> str:
        """What decodes, for the log; empty before it has begun."""
        return next(iter(self._views.values())).decoder

    def next(self, clock: Clock, on_progress: OnProgress | None, done: int) -> np.ndarray | None:
        """The next pictures, uint8 [frame, view, y, x], None at the end; tells the caller now and then
        that it waits.

        Raises:
            FootageError: of the decoder; or one camera has fewer pictures than another.
        """
        batches = {
            camera: view.next(clock, on_progress, done) for camera, view in self._views.items()
        }
        lengths = {
            camera: done + (0 if batch is None else len(batch.luma))
            for camera, batch in batches.items()
        }
        if len(set(lengths.values())) > 1:
            shorter = min(lengths, key=lengths.__getitem__)
            longer = max(lengths, key=lengths.__getitem__)
            raise FootageError(
                f"camera {shorter} has {lengths[shorter]} frames, camera {longer} has more",
                remedy="cut all cameras of the shot to the same frames",
                file=self._views[shorter].footage,
            )
        views = [batch.luma for batch in batches.values() if batch is not None]
        return np.stack(views, axis=1) if views else None


class _Ahead:
    """One camera's batches."""

    def __init__(self, decoder: Callable[[Decoding], Pictures], decoding: Decoding) -> None:
        self.info: FootageInfo | None = None
        self.decoder = ""
        self._decoder, self._decoding = decoder, decoding
        self._waiting: queue.Queue[FrameBatch | BaseException | None] = queue.Queue(QUEUED_BATCHES)
        self._stop = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._decode, name="decode", daemon=True)

    @property
    def footage(self) -> Path:
        return self._decoding.footage

    @property
    def total(self) -> int | None:
        return self.info.frames_from_header if self.info else None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def next(self, clock: Clock, on_progress: OnProgress | None, done: int) -> FrameBatch | None:
        began = time.monotonic()
        while True:
            try:
                item = self._waiting.get(timeout=PATIENCE_SECONDS)
                break
            except queue.Empty:
                waited = time.monotonic() - began
                if self._begun.is_set():
                    report(on_progress, Progress("infer", done, self.total))
                else:  # its decoder waits for a processor: that is no standstill
                    report(on_progress, Progress("queue", int(waited), None, "s"))
        clock.waited_seconds += time.monotonic() - began
        if isinstance(item, BaseException):
            raise item
        return item

    def _put(self, item: FrameBatch | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def _decode(self) -> None:
        try:
            pictures = self._decoder(self._decoding)
            self.info, self.decoder = pictures.info, pictures.decoder
            self._begun.set()
            for batch in pictures.batches:
                if not self._put(batch):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)
