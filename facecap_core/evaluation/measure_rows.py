"""Measure rows: the figures of a summary with names for people, in the order of tables."""

from __future__ import annotations

from dataclasses import dataclass

from facecap_core.evaluation.summary import Summary


@dataclass(frozen=True)
class MeasureRow:
    """One measure; `best` is the value of a perfect result, None where that depends on the target."""

    key: str  # as in evaluation.json
    name: str
    unit: str
    value: float
    best: float | None = 0.0


def measure_rows(summary: Summary) -> list[MeasureRow]:
    """Every figure of a summary, general ones first."""
    return [
        MeasureRow("rmse_mm", "RMSE", "mm", summary.rmse_mm),
        MeasureRow(
            "mean_frame_rmse_mm", "mean of the frames' RMSE", "mm", summary.mean_frame_rmse_mm
        ),
        MeasureRow("p95_mm", "95 % of frames below", "mm", summary.p95_mm),
        MeasureRow("worst_mm", "worst frame", "mm", summary.worst_mm),
        *(
            MeasureRow(f"regions_mm.{name}", f"RMSE, {name}", "mm", value)
            for name, value in summary.regions_mm.items()
        ),
        MeasureRow(
            "jaw_forward_rmse_mm", "jaw along the face, error", "mm", summary.jaw_forward_rmse_mm
        ),
        MeasureRow(
            "lip_aperture_error_mm", "lips apart, error", "mm", summary.lip_aperture_error_mm
        ),
        MeasureRow(
            "lip_aperture_bias_mm", "lips too far apart by", "mm", summary.lip_aperture_bias_mm
        ),
        MeasureRow(
            "lid_aperture_error_mm", "lids apart, error", "mm", summary.lid_aperture_error_mm
        ),
        MeasureRow(
            "lid_aperture_bias_mm", "lids too far apart by", "mm", summary.lid_aperture_bias_mm
        ),
        MeasureRow(
            "velocity_error_mm_per_frame",
            "velocity error",
            "mm/frame",
            summary.velocity_error_mm_per_frame,
        ),
        MeasureRow(
            "acceleration_error_mm_per_frame2",
            "acceleration error",
            "mm/frame²",
            summary.acceleration_error_mm_per_frame2,
        ),
        MeasureRow(
            "stability", "stability: acceleration to the target's", "times", summary.stability, 1
        ),
        MeasureRow(
            "still_jitter_mm_per_frame2",
            "jitter at the stillest moments",
            "mm/frame²",
            summary.still_jitter_mm_per_frame2,
        ),
        MeasureRow(
            "still_jitter_target_mm_per_frame2",
            "… of the target itself",
            "mm/frame²",
            summary.still_jitter_target_mm_per_frame2,
            None,
        ),
        MeasureRow("amplitude", "amplitude of motion", "times", summary.amplitude, 1),
        *(
            MeasureRow(f"region_amplitudes.{name}", f"… of {name}", "times", value, 1)
            for name, value in summary.region_amplitudes.items()
        ),
    ]
