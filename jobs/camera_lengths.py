"""Camera lengths: shots whose cameras do not have as many frames, by what the heads of their files say."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

from facecap_core.errors import FacecapError
from facecap_core.productions.production import Production
from jobs.request import Request
from jobs.shots import cameras_of

LOOK_SECONDS = 3.0


def length_warnings(
    production: Production, request: Request, shots: Iterable[str], *, seconds: float = LOOK_SECONDS
) -> dict[str, str]:
    """What is to be said of shots of which the request reads cameras of unequal length, by shot; it fails at them.

    Files whose heads do not say it are passed over, and so are all that are left after so many seconds: a submission
    does not wait for hundreds of files to be opened. `farm check` counts the frames of every one.
    """
    until = time.monotonic() + seconds
    found = {}
    for name in shots:
        shot = production.shots.get(name)
        cameras = [] if shot is None else cameras_of(production, request, shot)
        if shot is None or len(cameras) < 2:
            continue
        if time.monotonic() > until:
            break
        from facecap_core.footage.source import frames_in_head  # PyAV, without which most go

        frames: dict[str, int | None] = {}
        for camera in cameras:
            with contextlib.suppress(FacecapError):  # whoever decodes it says so
                frames[camera] = frames_in_head(shot.footage[camera])
        if len({count for count in frames.values() if count is not None}) > 1:
            told = [f"camera {c} has {count} frames" for c, count in frames.items() if count]
            found[name] = (
                f"{', '.join(told)}, by their files' heads -> cut all cameras of the shot to the same"
                " frames (farm check counts them)"
            )
    return found
