"""Frame clock: holds the pictures' time stamps against the production's constant frame rate."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

from facecap_core.errors import FrameRateError
from facecap_core.footage.video_container import open_video
from facecap_core.footage.video_file import VideoFile

_MEASURED_PACKETS = 20_000
_STEADY_FRAMES = 0.25  # a picture may be this far from its place; cameras' clocks jitter
_SAME_RATE = 5e-4  # 30 and 30000/1001 differ by 1e-3


class FrameClock:
    """Gives each picture its time, and raises FrameRateError when the rate is not constant.

    Picture i must lie within a quarter of a frame, and one tick of the stream's time base (at most
    another quarter), of pts₀ + i / fps. Pictures without time stamps (raw streams) take i / fps.
    """

    def __init__(self, video: VideoFile, fps: Fraction, first_pts: int | None = None) -> None:
        """first_pts: the time stamp of picture 0, where another one is the first to be asked for."""
        self._video = video
        self._fps = fps
        self._first_pts = first_pts
        # Some containers tick once a frame: there a tick is exact, and no tolerance at all.
        quarter = _STEADY_FRAMES / float(fps)
        self._tolerance_seconds = quarter + min(video.tick_seconds, quarter)
        declared = video.declared_fps
        # The header is only a reason to look: a last picture of odd length bends its average.
        if video.timed and (declared is None or not _same(float(declared), float(fps))):
            self._refuse_other_steady_rate()

    def seconds(self, index: int, pts: int | None) -> float:
        """The time of picture `index`, in seconds of the file's own time; raises FrameRateError."""
        if pts is None:
            return float(index / self._fps)
        if self._first_pts is None:
            self._first_pts = pts
        since_first = (pts - self._first_pts) * self._video.tick_seconds
        expected = float(index / self._fps)
        if abs(since_first - expected) > self._tolerance_seconds:
            self._refuse_other_steady_rate()
            raise FrameRateError(
                f"variable frame rate at frame {index}: it comes {since_first:.4f} s after the "
                f"first, and {expected:.4f} s would be right at {fps_text(self._fps)} fps",
                remedy=f"convert the footage to a constant {fps_text(self._fps)} fps "
                "(the camera dropped frames or records a variable rate, or the file is damaged)",
                file=self._video.path,
            )
        return pts * self._video.tick_seconds

    def _refuse_other_steady_rate(self) -> None:
        """Raises FrameRateError when the packets' times are steady, at a rate of their own.

        Raises FootageTruncated when they end early.
        """
        # A second look at the file, without decoding: the first goes on undisturbed.
        with open_video(self._video.path) as video:
            times = sorted(
                stamp
                for packet in islice(video.packets(), _MEASURED_PACKETS)
                if (stamp := video.stamp(packet)) is not None
            )
        if len(times) < 2 or times[-1] == times[0]:
            return
        if len(times) < _MEASURED_PACKETS:
            self._video.check_end(times[-1])  # a gap because pictures are missing at the end
        frame_ticks = (times[-1] - times[0]) / (len(times) - 1)
        unsteady = max(abs(t - times[0] - i * frame_ticks) for i, t in enumerate(times))
        if unsteady > _STEADY_FRAMES * frame_ticks + min(1, _STEADY_FRAMES * frame_ticks):
            return
        measured = 1 / (frame_ticks * self._video.tick_seconds)
        # Either end may be off by as much as the others are: by rounding to ticks, or by jitter.
        uncertain = _SAME_RATE + 2 * unsteady / (times[-1] - times[0])
        if _same(measured, float(self._fps), uncertain):
            return
        declared = float(self._video.declared_fps or 0)
        shown = declared if _same(measured, declared, uncertain) else measured
        raise FrameRateError(
            f"the footage runs at {shown:.5g} fps, the production at {fps_text(self._fps)}",
            remedy="correct fps in production.toml, or convert the footage",
            file=self._video.path,
        )


def _same(rate: float, other: float, tolerance: float = _SAME_RATE) -> bool:
    return abs(rate - other) <= tolerance * other


def fps_text(fps: Fraction) -> str:
    """A frame rate for people: 30, or 30000/1001 (29.97)."""
    return str(fps) if fps.denominator == 1 else f"{fps} ({float(fps):.5g})"
