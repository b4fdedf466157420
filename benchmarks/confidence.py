"""Does confidence find the frames that are wrong? The worst tenth by true error, on usual footage and with planted faults

    python -m benchmarks.confidence PRODUCTION TRUTH_FOLDER [--actor A] [--model M]

For footage made with known geometry: TRUTH_FOLDER holds SHOT.pc2 (or any readable cache) for the bulk shots, which
neither training nor calibration has seen. Prints, for these shots as they are and for each fault of
benchmarks/planted_faults.py drawn into a further copy of every tenth frame: the frames, how far the faulty
ones are off, the area under the ROC curve for the worst tenth of all frames by true error, the rank correlation, and
the median of predicted over true error of the faulty frames. Then what the figure costs: the time of inference with it over that
without, in interleaved rounds, in processor time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.arguments import production_arguments
from benchmarks.planted_faults import FAULTS
from benchmarks.record import figure, ratio
from facecap_core.errors import ModelError
from facecap_core.evaluation.solved import truth_of
from facecap_core.evaluation.subject import Subject, open_subject
from facecap_core.footage.footage import Footage
from facecap_core.learning.rmse import per_frame_rmse_mm
from facecap_core.pictures_ahead import BATCH_FRAMES
from facecap_core.pointcaches.reader import open_point_cache
from facecap_core.productions.production import load_production
from facecap_core.ranks import auroc_of_worst, spearman
from jobs.models import choose_model

EVERY = 10  # a faulty frame for so many usual ones
ROUNDS = 40


def bulk(subject: Subject, truth: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [frame, view, y, x] and true positions [frame, vertex, xyz] of all bulk shots."""
    luma, target = [], []
    for name in subject.names("bulk"):
        shot = subject.production.shots[name]
        views = []
        for camera in subject.cameras:
            footage = Footage(
                shot.footage[camera],
                crop=subject.model.crop(camera),
                fps=subject.production.fps,
                picture_size=subject.model.picture_size(camera),
            )
            views.append(np.concatenate([batch.luma for batch in footage.batches(64)]))
        luma.append(np.stack(views, axis=1))
        count, template = subject.model.vertex_count, subject.template
        path = truth_of(str(truth), name)
        with open_point_cache(path, vertex_count=count, topology=template) as cache:
            target.append(cache.read(0, cache.frame_count))
    return np.concatenate(luma), np.concatenate(target)


def solved(subject: Subject, luma: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and true error in mm of each frame."""
    model, stick = subject.model, subject.stick
    assert model.confidence is not None
    engine = model.solver(luma[:BATCH_FRAMES], subject.views)
    predicted, true = [], []
    for start in range(0, len(luma), BATCH_FRAMES):
        batch = luma[start : start + BATCH_FRAMES]
        result = engine.start(batch)
        signals = result.signals()
        assert signals is not None
        predicted.append(model.confidence.figures(signals, subject.views).predicted_rmse_mm)
        true.append(
            per_frame_rmse_mm(
                result(),
                target[start : start + BATCH_FRAMES],
                animated=stick.animated,
                mm_per_unit=stick.mm_per_unit,
            )
        )
    return np.concatenate(predicted), np.concatenate(true)


def cost(subject: Subject, luma: np.ndarray) -> None:
    """Time of the network with the figure over that without."""
    model, views = subject.model, subject.views
    ways = [model.solver(luma[:BATCH_FRAMES], views)]
    ways.append(replace(model, confidence=None, _engines={}).solver(luma[:BATCH_FRAMES], views))
    batches = [
        luma[i : i + BATCH_FRAMES] for i in range(0, min(len(luma), 8 * BATCH_FRAMES), BATCH_FRAMES)
    ]
    times: list[list[float]] = [[], []]
    for round_ in range(ROUNDS + 2):
        for way in (0, 1) if round_ % 2 else (1, 0):
            began = time.process_time()
            for batch in batches:
                ways[way].start(batch)()
            if round_ >= 2:  # the first ones warm up
                times[way].append(time.process_time() - began)
    ratio("inference with confidence : without", times[0], times[1], at_most=1.10)
    print(
        f"cost: {np.median(np.divide(*times)) - 1:+.1%} of the network ({ways[0].name}, n={ROUNDS})"
    )


def main() -> None:
    parser = production_arguments(__doc__)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--model", help="else the newest")
    options = parser.parse_args()
    torch.set_num_threads(1)
    production = load_production(options.production)
    actor = options.actor or next(iter(production.actors))
    chosen = choose_model(production.store, actor, options.model)
    subject = open_subject(production, actor, chosen.model, "cpu")
    if subject.model.confidence is None:
        raise ModelError("the model has no calibration", remedy="farm calibrate")
    luma, target = bulk(subject, options.truth)
    predicted, true = solved(subject, luma, target)
    print(f"{actor}, {chosen.model}, usual {subject.model.confidence.usual_mm:.3f} mm")
    print(
        f"{'footage':14} {'frames':>7} {'median mm':>9} {'AUROC':>6} {'rank':>6} {'predicted : true':>16}"
    )

    def row(name: str, foretold: np.ndarray, found: np.ndarray, own: slice) -> None:
        area = auroc_of_worst(foretold, found)
        print(
            f"{name:14} {len(found):7d} {np.median(found[own]):9.2f} {area:6.3f}"
            f" {spearman(foretold, found):6.2f} {np.median(foretold[own] / found[own]):16.2f}"
        )
        figure(f"AUROC of the worst tenth, {actor}, {name}", [area], at_least=0.85)

    row("as it is", predicted, true, slice(None))
    everything = [(predicted, true)]
    for name, fault in FAULTS.items():
        some = slice(0, None, EVERY)
        faulty = np.stack([fault(luma[some, view]) for view in range(luma.shape[1])], axis=1)
        foretold, found = solved(subject, faulty, target[some])
        both = np.concatenate([predicted, foretold]), np.concatenate([true, found])
        row(name, *both, slice(len(true), None))
        everything.append((foretold, found))
    joined = [np.concatenate(part) for part in zip(*everything, strict=True)]
    row("all together", joined[0], joined[1], slice(None))
    cost(subject, luma)


if __name__ == "__main__":
    main()
