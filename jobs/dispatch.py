"""Dispatch: the tasks of a stage, handed to Ray one by one, each to a machine that it may run on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobs.ledger import Ledger
from jobs.nodes import GB, gpu_nodes, not_on
from jobs.placement import Placement, fits
from jobs.records import Lot, ShotRecord, Submission
from jobs.retries import Tries
from jobs.tasks import TaskCall, work

ON_GPU = ("train", "infer")
"""Stages that use a GPU; the others leave machines that have one to them, as long as there are others."""

Work = Callable[[TaskCall], dict[str, Any]]


class Dispatch:
    """Hands over what a stage is to do; `do` is what Ray runs."""

    def __init__(
        self,
        ledger: Ledger,
        stage: str,
        place: Placement,
        submission: Submission,
        do: Work = work,
    ) -> None:
        self._ledger, self._stage = ledger, stage
        self._place, self._submission = place, submission
        self._do = do
        self._task: Any = None

    def submit(self, record: ShotRecord, tries: Tries, nodes: Sequence[Mapping[str, Any]]) -> Any:
        """Begin another try of a shot (or training); Ray's reference of what will come of it.

        Args:
            nodes: the living machines, see `alive_nodes`.
        """
        import ray

        with_gpu = gpu_nodes(nodes)
        options: dict[str, Any] = {
            "name": self._stage,  # the dashboard counts tasks of one name in one bar
            "num_cpus": self._place.cpus,
            "num_gpus": self._place.gpus,
            "max_retries": 0,  # all retries are the stage's, which tells one end from another
        }
        avoid = self._avoided(tries, nodes, with_gpu)
        if avoid:
            options["label_selector"] = not_on(avoid)
        if tries.memory_gb is not None:
            options["memory"] = int(tries.memory_gb * GB)
        apart = self._place.decode_apart
        lot = Lot(
            threads=self._place.threads,
            decode_apart=apart,
            avoid=tuple(sorted(with_gpu | tries.avoid)) if apart else (),
            lost=tries.lost,
            memory_gb=tries.memory_gb,
            decoder=self._submission.options.decoder,
        )
        call = TaskCall(
            folder=str(self._ledger.folder),
            production=self._submission.production,
            name=record.name,
            stage=self._stage,
            lot=lot,
        )
        if self._task is None:  # once: Ray ships every remote function it is given
            self._task = ray.remote(self._do)
        return self._task.options(**options).remote(call)

    def _avoided(
        self, tries: Tries, nodes: Sequence[Mapping[str, Any]], with_gpu: set[str]
    ) -> set[str]:
        """Ids of the machines on which it shall not run."""
        avoid = set(tries.avoid)
        leaves_gpus = self._stage not in ON_GPU and len(with_gpu) < len(nodes)
        memory_gb = tries.memory_gb
        if leaves_gpus and fits(self._place, nodes, with_gpu, memory_gb=memory_gb):
            avoid |= with_gpu
        # Better the same machine again than none.
        return avoid if fits(self._place, nodes, avoid, memory_gb=memory_gb) else set()
