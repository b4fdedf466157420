"""Ingest: footage into frame stores, point caches into target stores."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from facecap_core.errors import PointCacheError
from facecap_core.fingerprints import fingerprint_footage
from facecap_core.footage.footage import Footage
from facecap_core.footage.input_stabilisation import Stabiliser, stabilise
from facecap_core.footage.landmark_file import POINTS
from facecap_core.pointcaches.reader import fingerprint_cache, open_point_cache
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.provenance import made
from facecap_core.stores.group_writer import FRAMES_PER_CHUNK, new_group
from facecap_core.stores.groups import open_frames, stored
from facecap_core.stores.object_folder import ArrayFolder
from facecap_core.template import Template


@dataclass(frozen=True)
class IngestResult:
    """What is in the store now; `reused` when it was there already, from the same input."""

    frames: int
    reused: bool
    seconds: float
    picture_size: tuple[int, int] = (0, 0)
    without_face: int = 0  # pictures whose landmarks are a guess
    decoder: str = ""  # what decoded, for the log


def ingest_frames(
    footage: Path,
    *,
    crop: tuple[int, int, int, int],
    fps: Fraction,
    destination: ArrayFolder,
    threads: int = 1,
    hardware: bool = False,
    on_progress: OnProgress | None = None,
) -> IngestResult:
    """Decode a shot of one camera into a frame store, unless the same is there.

    Args:
        crop: x, y, width, height in the pixels of the picture as displayed.
        threads: for decoding; a long shot is split among them at its key pictures.
        hardware: a device of the machine may decode, see `Footage`.
        destination: the frame store to make, see `StorePaths.frames`.

    Raises:
        FootageError: by its named kinds. StoreError: it cannot be written.
    """
    started = time.monotonic()
    identity = {
        "footage_fingerprint": fingerprint_footage(footage),
        "crop": list(crop),
        "fps": str(fps),
    }
    found = stored(destination, identity)
    if found is not None:
        width, height = found["picture_size"]
        return IngestResult(int(found["frames"]), True, time.monotonic() - started, (width, height))
    source = Footage(footage, crop=crop, fps=fps, threads=threads, hardware=hardware)
    picture_size = source.info.picture_size
    total = source.info.frames_from_header
    with new_group(destination, identity) as group:
        luma, pts = group.luma(), group.pts_seconds()
        done = 0
        for batch in source.batches(FRAMES_PER_CHUNK):
            luma.append(batch.luma)
            pts.append(batch.pts_seconds)
            done += len(batch.luma)
            report(on_progress, Progress("ingest", done, total))
        group.set_attributes(
            {
                "footage": Path(footage).name,
                "picture_size": list(picture_size),
                **source.info.start,
                "made": made(),
            }
        )
    seconds = time.monotonic() - started
    return IngestResult(done, not group.won, seconds, picture_size, decoder=source.decoder)


def ingest_stabilised(
    frames: ArrayFolder,
    *,
    stabiliser: Stabiliser,
    destination: ArrayFolder,
    on_progress: OnProgress | None = None,
) -> IngestResult:
    """Stabilise a frame store's pictures by their landmarks into another, unless the same is there.

    Beside the pictures it holds their `landmarks` float32 [frame, point, xy], in pixels of the original.

    Raises:
        LandmarksError: they are of a shot of another length. StoreError: it cannot be read or written.
    """
    started = time.monotonic()
    source = open_frames(frames)
    kept = ("footage_fingerprint", "crop", "fps")
    identity = {name: source.attributes[name] for name in kept} | stabiliser.identity
    found = stored(destination, identity)
    if found is not None:
        without_face = int(found["pictures_without_face"])
        seconds = time.monotonic() - started
        return IngestResult(int(found["frames"]), True, seconds, without_face=without_face)
    stabiliser.check_frames(source.frames)
    with new_group(destination, identity) as group:
        luma, pts = group.luma(), group.pts_seconds()
        points = group.array(
            "landmarks",
            row_shape=(POINTS, 2),
            dtype="float32",
            dimension_names=("frame", "point", "xy"),
        )
        pts.append(source.read("pts_seconds"))
        done = 0
        for batch in source.chunks("luma"):
            found_points = stabiliser.landmarks(batch, done)
            points.append(found_points.astype("float32"))
            luma.append(stabilise(batch, found_points))
            done += len(batch)
            report(on_progress, Progress("stabilise", done, source.frames))
        copied = {name: source.attributes[name] for name in ("footage", "picture_size")}
        facts = stabiliser.landmarks.facts
        group.set_attributes({**copied, **facts, "made": made()})
    without_face = int(facts["pictures_without_face"])
    seconds = time.monotonic() - started
    return IngestResult(done, not group.won, seconds, without_face=without_face)


def ingest_targets(
    cache: Path,
    *,
    template: Template,
    units: str,
    fps: Fraction,
    destination: ArrayFolder,
    expected_frames: int | None = None,
    on_progress: OnProgress | None = None,
) -> IngestResult:
    """Copy a point cache of any readable format into a target store, unless the same is there.

    Args:
        units: the production's; a cache that says that it has others is refused.
        expected_frames: of the video, which must be the cache's too.

    Raises:
        PointCacheError: damaged, another topology, not finite, another length, other units or rate.
        StoreError: it cannot be written.
    """
    started = time.monotonic()
    identity = {
        "cache_fingerprint": fingerprint_cache(cache),
        "topology_sha256": template.topology_sha256,
        "units": units,
        "fps": str(fps),
    }
    found = stored(destination, identity)
    if found is not None and expected_frames in (None, found["frames"]):
        return IngestResult(int(found["frames"]), True, time.monotonic() - started)
    with open_point_cache(cache, vertex_count=template.vertex_count, topology=template) as source:
        _check(source.frame_count, source.units, source.fps, expected_frames, units, fps, cache)
        with new_group(destination, identity) as group:
            positions = group.positions(template.vertex_count)
            done = 0
            for batch in source.batches(FRAMES_PER_CHUNK):
                positions.append(batch)
                done += len(batch)
                report(on_progress, Progress("ingest", done, source.frame_count))
            group.set_attributes({"cache": Path(cache).name, "made": made()})
    return IngestResult(done, not group.won, time.monotonic() - started)


def _check(
    frames: int,
    cache_units: str | None,
    cache_fps: Fraction | None,
    expected_frames: int | None,
    units: str,
    fps: Fraction,
    cache: Path,
) -> None:
    if expected_frames is not None and frames != expected_frames:
        raise PointCacheError(
            f"has {frames} frames, its video has {expected_frames}",
            remedy="export the cache for exactly the frames of the video",
            file=cache,
        )
    if cache_units is not None and cache_units != units:
        raise PointCacheError(
            f"is in {cache_units}, the production is in {units}",
            remedy=f"export it in {units}, or set units in production.toml",
            file=cache,
        )
    # Formats that store times in float32 seconds give the rate back only to a few digits.
    if cache_fps is not None and abs(cache_fps / fps - 1) > Fraction(1, 1500):
        raise PointCacheError(
            f"runs at {float(cache_fps):g} frames/s, the production at {float(fps):g}",
            remedy="export it at the rate of the video, or set fps in production.toml",
            file=cache,
        )
