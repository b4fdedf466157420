"""A night's job whose ledger and vertex stores are written by hand: shots solved, kept, failed and lost."""

from __future__ import annotations

import numpy as np
from made_jobs import drive, note, submit
from tiny_model import save_tiny_model
from tiny_production import make_production

from facecap_core.productions.production import load_production
from facecap_core.stores.group_writer import new_group
from facecap_core.template import read_template
from jobs.ledger import Ledger
from jobs.planning import plan_infer
from jobs.records import Cause, Try

FRAMES = 40
BEGAN = 1_790_000_000.0
HOSTILE = "</table><script>alert('$\\frac{&')</script>"
MISSING = Cause(type="FootageMissing", message=f"{HOSTILE}.mp4: no such file", remedy="mount <it>")
LOST = Cause(type="WorkerCrashedError", message="its worker died", remedy="farm retry", kind="lost")
CONFIDENCE = {"bulk_0": 0.9, "bulk_1": 0.7, "bulk_5": 0.8}


def solve(production, shot, confidence, *, model="m"):
    """A vertex store of this confidence, float32 [frame]."""
    template = read_template(production.actors["ada"].template)
    with new_group(production.paths.vertices("ada", shot)) as group:
        for name, values in (
            ("positions", np.repeat(template.positions[None], len(confidence), axis=0)),
            ("confidence", np.asarray(confidence, np.float32)),
        ):
            names = ("frame", "vertex", "xyz")[: values.ndim]
            group.array(
                name, row_shape=values.shape[1:], dtype="float32", dimension_names=names
            ).append(values)
        facts = {"model": model, "fps": "30", "camera": "center", "units": "cm"}
        group.set_attributes({**facts, "topology_sha256": template.topology_sha256})


def confidence_of(shot):
    """Some value throughout, with a dip of ten frames that is the deeper the lower the value."""
    confidence = np.full(FRAMES, CONFIDENCE[shot], np.float32)
    confidence[20:30] -= 0.6
    confidence[25] -= 0.05
    return confidence


def make_night(folder):
    """Seven shots of a production on three machines, of which one was lost; returns the ledger."""
    make_production(folder, bulk=7, frames=FRAMES)
    production = load_production(folder)
    template = read_template(production.actors["ada"].template)
    save_tiny_model(production.paths.model("ada", "m"), template)
    ledger = Ledger.create(
        production.paths.jobs, plan_infer(production, actor="ada", shots=None, model=None)
    )
    submit(ledger, submitted=BEGAN - 15, user="mara", attempt=1)

    def at(shot, state, host, began, seconds, **more):
        spent = {"started": BEGAN + began, "ended": BEGAN + began + seconds, "seconds": seconds}
        note(ledger, shot, state, host=host, **spent, **more)

    figures = {"waited_seconds": 3.0, "network_seconds": 1.0}
    at("bulk_0", "solved", "alpha", 0, 10.0, frames=FRAMES, figures=figures, peak_memory_gb=1.5)
    at("bulk_1", "solved", "alpha", 5, 1.0, frames=FRAMES, reused=True)
    at("bulk_2", "failed", HOSTILE, 0, 2.0, cause=MISSING)
    at("bulk_3", "failed", "alpha", 10, 2.0, cause=MISSING)
    lost = [Try(host="alpha", started=BEGAN + 20, ended=BEGAN + 24, cause=LOST)]
    at("bulk_4", "failed", "beta", 30, 4.0, cause=LOST, attempt=2, earlier=lost)
    at("bulk_5", "solved", "beta", 40, 20.0, frames=FRAMES, figures=figures)
    ledger.skip("bulk_6")
    drive(ledger, "finished", beat=BEGAN + 61)
    for shot in CONFIDENCE:
        solve(production, shot, confidence_of(shot))
    return ledger
