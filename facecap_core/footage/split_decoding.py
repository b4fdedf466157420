"""Split decoding: a long video's segments decoded side by side, its pictures in order.

Each thread has the file open for itself and decodes from one key picture to another; Python's lock is
free meanwhile. Threads inside the codec, which do the same within a picture, wait for one another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import av

from facecap_core.errors import FootageUnreadable
from facecap_core.footage.filtered_pictures import Filter, FilteredPicture, filtered
from facecap_core.footage.key_pictures import KeyPicture, Segment
from facecap_core.footage.video_container import open_video
from facecap_core.footage.video_file import VideoFile

SEGMENT_PICTURES = 48  # at least; seeking costs a few pictures' time
WAITING_PICTURES = 256  # of a segment, 20 MB: more than most key pictures are apart


class SplitDecoding:
    """A video that can be decoded in segments, by several threads."""

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self.threads = threads

    def pictures(
        self, make_filter: Callable[[av.VideoFrame], Filter]
    ) -> Generator[FilteredPicture, None, None]:
        """All pictures in the order of display, bit for bit those of one thread.

        Args:
            make_filter: gives, for a first picture, what makes luma of that and the next ones.

        Raises:
            FootageError: by its named kinds; what it says counts from the segment's start.
        """
        tasks: SimpleQueue[_Stretch | None] = SimpleQueue()
        workers = [
            threading.Thread(target=_work, args=(self.path, make_filter, tasks), daemon=True)
            for _ in range(self.threads)
        ]
        waiting: deque[_Stretch] = deque()
        with ExitStack() as stack:
            video = stack.enter_context(open_video(self.path))
            stack.callback(_end, waiting, tasks, workers)
            for worker in workers:
                worker.start()
            segments = segments_of(video)
            count, last_pts = 0, None
            while True:
                for segment in islice(segments, 2 * self.threads - len(waiting)):
                    waiting.append(_Stretch(segment))
                    tasks.put(waiting[-1])
                if not waiting:
                    break
                for picture in waiting[0].pictures():
                    if last_pts is not None and (picture.pts is None or picture.pts <= last_pts):
                        raise FootageUnreadable(
                            f"picture {count} comes out of order", file=self.path
                        )
                    yield picture
                    count, last_pts = count + 1, picture.pts
                waiting.popleft()
            video.check_count(count, last_pts)


def split(path: Path, threads: int) -> SplitDecoding | None:
    """How to decode a video by several threads; None: its key pictures do not allow it.

    Raises the errors of `open_video`.
    """
    with open_video(path) as video:
        whole = len(list(islice(segments_of(video), 2))) == 1
    return None if whole else SplitDecoding(path, threads)


def segments_of(video: VideoFile) -> Iterator[Segment]:
    """The video in segments of about SEGMENT_PICTURES pictures; all of it at once if it must be."""
    start: KeyPicture | None = None
    end: KeyPicture | None = None
    while (ticks := video.ticks_after(start.pts if start else None, SEGMENT_PICTURES)) is not None:
        end = video.key_picture_from(ticks)
        if end is None or (start and end.pts <= start.pts):
            break
        yield Segment(start, end)
        start = end
    yield Segment(start, None)


class _Stretch:
    """A segment with those of its pictures that wait to be taken; the decoder waits when they are many."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._changed = threading.Condition()
        self._pictures: deque[FilteredPicture] = deque()
        self._error: BaseException | None = None
        self._ended = False
        self._stopped = False

    def put(self, picture: FilteredPicture) -> bool:
        """Add a picture; False when nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._pictures) < WAITING_PICTURES)
            self._pictures.append(picture)
            self._changed.notify()
            return not self._stopped

    def end(self, error: BaseException | None = None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def pictures(self) -> Iterator[FilteredPicture]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pictures or self._ended)
                if not self._pictures:
                    break
                picture = self._pictures.popleft()
                self._changed.notify()
            yield picture
        if self._error is not None:
            raise self._error


def _work(
    path: Path,
    make_filter: Callable[[av.VideoFrame], Filter],
    tasks: SimpleQueue[_Stretch | None],
) -> None:
    video: VideoFile | None = None
    with ExitStack() as stack:
        while (stretch := tasks.get()) is not None:
            try:
                video = video or stack.enter_context(open_video(path))
                with closing(filtered(video.pictures(stretch.segment), make_filter)) as pictures:
                    for picture in pictures:
                        if not stretch.put(picture):
                            break
                stretch.end()
            except BaseException as error:
                stretch.end(error)


def _end(
    waiting: deque[_Stretch], tasks: SimpleQueue[_Stretch | None], workers: list[threading.Thread]
) -> None:
    for stretch in waiting:
        stretch.stop()
    for _ in workers:
        tasks.put(None)
    for worker in workers:
        worker.join()
