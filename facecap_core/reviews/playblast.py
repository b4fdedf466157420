"""Playblast: a solved shot as a video that any viewer plays, what the camera saw beside what was solved."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import av

from facecap_core.progress import OnProgress, Progress, report
from facecap_core.reports.page import one_thread
from facecap_core.reviews.ahead import ahead
from facecap_core.reviews.canvas import Planes, tag
from facecap_core.reviews.measures import Measures
from facecap_core.reviews.reviewed_shot import ReviewedShot, Scene
from facecap_core.reviews.slate import SIZE, Slate
from facecap_core.whole_path import whole_path

SCENES_AHEAD = 1  # of 64 frames each, decoded while those before are drawn


def write_playblast(
    path: Path,
    shot: ReviewedShot,
    measures: Measures,
    *,
    threads: int = 1,
    seen: Callable[[Scene], None] | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Write an H.264 video of 1280x720, whole or not at all, in flat memory.

    Panels: the crop and the result, then the target and the distance to it in colours where there is a target,
    else the result from the side. Below runs the time line, see `draw_time_line`; while a flagged range is shown
    its reason stands above. Decoding, drawing and encoding overlap.

    Args:
        threads: that draw.
        seen: is told of every scene on its way, in order.

    Raises:
        FootageError, StoreError, PointCacheError: what is shown cannot be read.
        Cancelled: `on_progress` answered False.
    """
    first = Slate(shot, measures)
    slates = [first, *(first.another() for _ in range(threads - 1))]
    options = {"movflags": "+faststart"}  # players begin before they have it all
    with (
        one_thread(),
        whole_path(path) as temporary,
        av.open(str(temporary), "w", options=options) as container,
    ):
        stream = container.add_stream("libx264", rate=shot.solved.fps)
        stream.options = {"crf": "20", "preset": "veryfast", "tune": "animation"}
        stream.width, stream.height = SIZE
        stream.codec_context.thread_count = 1  # the drawing has the other processors
        tag(stream)
        with ahead(shot.scenes(), SCENES_AHEAD) as scenes:
            for done, picture in enumerate(_pictures(scenes, slates, seen)):
                report(on_progress, Progress("review", done, shot.frames))
                container.mux(stream.encode(picture.frame()))
        container.mux(stream.encode())


def _pictures(
    scenes: Iterator[Scene], slates: Sequence[Slate], seen: Callable[[Scene], None] | None
) -> Iterator[Planes]:
    """All pictures in order, drawn on as many threads as there are slates."""
    free: queue.SimpleQueue[Slate] = queue.SimpleQueue()
    for slate in slates:
        free.put(slate)

    def draw(scene: Scene, number: int) -> Planes:
        slate = free.get()
        try:
            return slate.picture(scene, number)
        finally:
            free.put(slate)

    drawn: deque[Future[Planes]] = deque()
    with ThreadPoolExecutor(len(slates)) as pool:
        try:
            for scene in scenes:
                if seen is not None:
                    seen(scene)
                for number in range(len(scene.luma)):
                    drawn.append(pool.submit(draw, scene, number))
                    if len(drawn) > 2 * len(slates):
                        yield drawn.popleft().result()
            while drawn:
                yield drawn.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
