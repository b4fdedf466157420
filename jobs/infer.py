"""Infer: one shot's footage through its actor's model into the vertex store."""

from __future__ import annotations

from facecap_core.footage.input_stabilisation import stabiliser
from facecap_core.productions.production import Production
from facecap_core.progress import OnProgress
from jobs.decoder import Decoder
from jobs.ledger import Ledger
from jobs.log import Log
from jobs.records import Lot, ShotRecord
from jobs.request import InferRequest, Request
from jobs.shots import cameras_of, shot_of, versions_of
from jobs.stream import far_decoder
from jobs.worker import Outcome, carry_out


def infer_shot(
    ledger: Ledger, production: Production, request: Request, name: str, lot: Lot
) -> ShotRecord:
    """Solve one shot and note it in the ledger."""

    def task(on_progress: OnProgress, log: Log) -> Outcome:
        assert isinstance(request, InferRequest)
        from facecap_core import inference  # torch, which ingestion does without

        shot = shot_of(production, name)
        paths = production.paths
        model = request.models[shot.actor]
        footage = {c: shot.footage[c] for c in cameras_of(production, request, shot)}
        for camera, path in footage.items():
            log.line(f"{camera}: {path}, model {model}")
        for camera in request.cameras_of(shot.actor):
            if camera not in footage:
                log.line(f"{camera}: no footage of the shot, model {model} has to do without")
        result = inference.infer_shot(
            paths.model(shot.actor, model),
            footage,
            fps=production.fps,
            destination=paths.vertices(shot.actor, shot.name),
            provenance={"shot": shot.name, "job": ledger.job},
            threads=lot.threads,
            hardware=lot.decoder is Decoder.AUTO,
            decoder=far_decoder(lot) if lot.decode_apart else inference.decode,
            stabiliser_of=lambda camera: stabiliser(
                production.actors[shot.actor].cameras[camera], name
            ),
            on_progress=on_progress,
        )
        figures = {}
        if not result.reused:
            figures = {"waited_seconds": round(result.waited_seconds, 3)}
            figures["network_seconds"] = round(result.network_seconds, 3)
        how = "solved already"
        if not result.reused:
            how = f"solved in {result.seconds:.1f} s, decoded by {result.decoder}"
        return Outcome(
            result.frames,
            result.reused,
            figures,
            sentence=f"{result.frames} frames {how}",
            versions=versions_of(production, request, name),
            weights={shot.actor: result.weights},
        )

    return carry_out(ledger, ledger.shot(name), lot, task)
