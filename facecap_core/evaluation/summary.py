"""Summary: the figures of merit of a shot, or of several shots together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from facecap_core.evaluation.shot_measures import Aperture, ShotMeasures, add_up
from facecap_core.evaluation.yardstick import Yardstick
from facecap_core.learning.rmse import pooled_rmse_mm

STILL_PART = 0.1  # of the frames, those in which the target moves least


@dataclass(frozen=True)
class Summary:
    """Figures over frames; nan where one is not known. Differences over time never cross shots."""

    frames: int
    rmse_mm: float  # pooled: the root of the mean square of all frames, as the loss counts them
    mean_frame_rmse_mm: float
    p95_mm: float  # 95 of 100 frames are below
    worst_mm: float
    worst_shot: str
    worst_frame: int  # its number, as videos, pages and files show it
    regions_mm: dict[str, float]  # pooled RMSE of each region
    velocity_error_mm_per_frame: float
    acceleration_error_mm_per_frame2: float
    stability: float  # RMS second difference of the result in parts of the target's
    still_jitter_mm_per_frame2: float  # the result's, while the target moves least
    still_jitter_target_mm_per_frame2: float
    amplitude: float  # slope of the result's motion on the target's; below 1 it is attenuated
    region_amplitudes: dict[str, float]
    lip_aperture_error_mm: float  # mean absolute difference over pairs
    lip_aperture_bias_mm: float  # positive: the result's mouth is too far open
    lid_aperture_error_mm: float
    lid_aperture_bias_mm: float
    jaw_forward_rmse_mm: float  # of the jaw's mean place along the face: Figure 7's error

    def as_json(self) -> dict[str, Any]:
        """With None for what is not known, as JSON has no nan."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def summarise(shots: Sequence[ShotMeasures], stick: Yardstick) -> Summary:
    """All frames of these shots together; there must be a frame."""

    def every(get: Callable[[ShotMeasures], np.ndarray]) -> np.ndarray:
        return np.concatenate([get(shot) for shot in shots])

    rmse = every(lambda shot: shot.rmse_mm)
    worst = int(np.argmax(rmse))
    starts = np.cumsum([0, *map(len, shots)])
    where = int(np.searchsorted(starts, worst, side="right")) - 1
    sums = add_up([shot.sums for shot in shots])
    ours = every(lambda shot: shot.result_acceleration_mm)
    wanted = every(lambda shot: shot.target_acceleration_mm)
    still = _stillest(shots)
    lips = _aperture([shot.lips for shot in shots])
    lids = _aperture([shot.lids for shot in shots])
    shake = _rms(wanted)
    return Summary(
        frames=len(rmse),
        rmse_mm=pooled_rmse_mm(rmse),
        mean_frame_rmse_mm=float(rmse.mean()),
        p95_mm=float(np.quantile(rmse, 0.95)),
        worst_mm=float(rmse[worst]),
        worst_shot=shots[where].shot,
        worst_frame=shots[where].start_frame + worst - int(starts[where]),
        regions_mm={
            name: _rms(np.concatenate([shot.regions_mm[name] for shot in shots]))
            for name in stick.regions
        },
        velocity_error_mm_per_frame=_rms(every(lambda shot: shot.velocity_error_mm)),
        acceleration_error_mm_per_frame2=_rms(every(lambda shot: shot.acceleration_error_mm)),
        stability=_rms(ours) / shake if shake > 0 else float("nan"),
        still_jitter_mm_per_frame2=_rms(ours[still]),
        still_jitter_target_mm_per_frame2=_rms(wanted[still]),
        amplitude=sums.amplitude(stick.animated),
        region_amplitudes={
            name: sums.amplitude(vertices) for name, vertices in stick.regions.items()
        },
        lip_aperture_error_mm=lips[0],
        lip_aperture_bias_mm=lips[1],
        lid_aperture_error_mm=lids[0],
        lid_aperture_bias_mm=lids[1],
        jaw_forward_rmse_mm=_rms(every(lambda shot: shot.jaw_forward_error_mm)),
    )


def _stillest(shots: Sequence[ShotMeasures]) -> np.ndarray:
    """The frames with an acceleration whose target moves least, before and after: bool [frame]."""
    speed = np.concatenate(
        [
            np.maximum(shot.target_velocity_mm, np.append(shot.target_velocity_mm[1:], np.nan))
            for shot in shots
        ]
    )
    known = speed[~np.isnan(speed)]
    return speed <= (np.quantile(known, STILL_PART) if len(known) else 0.0)


def _aperture(found: Sequence[Aperture]) -> tuple[float, float]:
    """Mean absolute and mean signed error in mm."""
    error = np.concatenate([aperture.error_mm for aperture in found])
    signed = np.concatenate([aperture.result_mm - aperture.target_mm for aperture in found])
    return _mean(error), _mean(signed)


def _rms(values: np.ndarray) -> float:
    """Over the frames that have a value."""
    return pooled_rmse_mm(values[~np.isnan(values)])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
