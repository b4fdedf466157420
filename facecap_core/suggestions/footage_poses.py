"""Footage poses: an actor's tracked and solved footage, some frames a second, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from facecap_core.errors import ConfigError
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress, Progress, report
from facecap_core.solved_shot import SolvedShot, open_solved
from facecap_core.stores.groups import is_of_mesh, open_targets
from facecap_core.suggestions.pose_space import ROWS, PoseSpace
from facecap_core.template import read_animated, read_template
from facecap_core.units import MM_PER_UNIT

BATCH = 64  # a chunk of the stores
SAMPLES_A_SECOND = 10  # neighbouring frames say nearly the same
MOST_SAMPLES = 200_000  # 5.5 hours; of more footage fewer a second are taken

Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class FootagePoses:
    """What is known, and what might be tracked.

    A sample of a solved shot stands for the `step` frames that begin with it.
    """

    known: np.ndarray  # float32 [sample, component], tracked frames of training and corrected ones
    poses: np.ndarray  # float32 [sample, component], of solved bulk footage
    shot: np.ndarray  # int32 [sample], place in `shots`
    frame: np.ndarray  # int32 [sample], ascending within a shot
    corrected: np.ndarray  # bool [sample], is known already
    expected_mm: (
        np.ndarray
    )  # float32 [sample], the error that the model expects of itself; nan: it does not say
    shots: list[SolvedShot]
    unsolved: list[str]  # bulk shots that could not be considered
    step: int


def read_poses(
    production: Production, actor: str, on_progress: OnProgress | None = None
) -> FootagePoses:
    """Of the training targets of the present template in the store, and of the bulk shots that are solved.

    Raises:
        ConfigError: no bulk shot is solved. StoreError: a store is damaged. TemplateError: the template cannot be
            read. Cancelled: `on_progress` answered False.
    """
    settings, paths = production.actors[actor], production.paths
    template = read_template(settings.template)
    solved, unsolved = [], []
    for shot in production.shots_of(actor, split=""):
        if paths.vertices(actor, shot.name).exists():
            solved.append(open_solved(production, shot.name, template=template))
        else:
            unsolved.append(shot.name)
    frames = sum(shot.frames for shot in solved)
    if not frames:
        raise ConfigError(
            f"no bulk footage of {actor} is solved", remedy=f"farm submit infer --actor {actor}"
        )
    tracked = [paths.targets(shot.name) for shot in production.shots_of(actor, split="train")]
    stores = [open_targets(path) for path in tracked if path.exists()]
    targets = [
        _Piece(store.frames, partial(store.read, "positions"))
        for store in stores
        if is_of_mesh(store, template.topology_sha256, template.vertex_count)
    ]
    results = [_Piece(shot.frames, shot.read) for shot in solved]
    step = max(1, round(production.fps / SAMPLES_A_SECOND), -(-frames // MOST_SAMPLES))
    space = PoseSpace.of(
        np.concatenate([_spread(targets, ROWS // 2), _spread(results, ROWS // 2)]),
        read_animated(production.actors[actor].animated, template.vertex_count),
        MM_PER_UNIT[production.units],
    )
    total = sum(piece.frames for piece in (*targets, *results))
    progress = _Counter(total, on_progress)
    known = [space.coordinates(block) for piece in targets for block in piece.every(step, progress)]
    poses = [space.coordinates(block) for piece in results for block in piece.every(step, progress)]
    at = [np.arange(0, shot.frames, step) for shot in solved]
    corrected = np.concatenate([_corrected(shot)[of] for shot, of in zip(solved, at, strict=True)])
    expected = [_expected(shot)[of] for shot, of in zip(solved, at, strict=True)]
    found = np.concatenate(poses)
    nothing = np.zeros((0, found.shape[1]), np.float32)
    return FootagePoses(
        known=np.concatenate([nothing, *known, found[corrected]]),
        poses=found,
        shot=np.repeat(np.arange(len(solved), dtype=np.int32), [len(of) for of in at]),
        frame=np.concatenate(at).astype(np.int32),
        corrected=corrected,
        expected_mm=np.concatenate(expected),
        shots=solved,
        unsolved=unsolved,
        step=step,
    )


@dataclass(frozen=True)
class _Piece:
    """Positions of one store."""

    frames: int
    read: Read

    def every(self, step: int, progress: _Counter) -> Iterator[np.ndarray]:
        """Every `step`th frame, in blocks."""
        for start in range(0, self.frames, BATCH):
            stop = min(start + BATCH, self.frames)
            yield self.read(start, stop)[-start % step :: step]
            progress.add(stop - start)


@dataclass
class _Counter:
    total: int
    on_progress: OnProgress | None
    done: int = 0

    def add(self, frames: int) -> None:
        self.done += frames
        report(self.on_progress, Progress("poses", self.done, self.total))


def _spread(pieces: Sequence[_Piece], count: int) -> np.ndarray:
    """About `count` frames, as far apart as they can be: float32 [frame, vertex, xyz]; a chunk is read for each."""
    total = sum(piece.frames for piece in pieces)
    apart = max(1, -(-total // count))
    found, passed = [], 0
    for piece in pieces:
        places = range(-passed % apart, piece.frames, apart)
        if apart < BATCH:
            blocks = range(0, piece.frames, BATCH) if places else ()
            found += [
                # A copy: a view of a few frames keeps all of its chunk.
                piece.read(start, min(start + BATCH, piece.frames))[
                    (-passed - start) % apart :: apart
                ].copy()
                for start in blocks
            ]
        else:
            found += [piece.read(place, place + 1) for place in places]
        passed += piece.frames
    return np.concatenate(found) if found else np.zeros((0, 0, 3), np.float32)


def _corrected(shot: SolvedShot) -> np.ndarray:
    none = np.zeros(shot.frames, bool)
    return none if shot.corrections is None else shot.corrections.corrected


def _expected(shot: SolvedShot) -> np.ndarray:
    errors = shot.predicted_rmse_mm
    return np.full(shot.frames, np.nan, np.float32) if errors is None else errors
