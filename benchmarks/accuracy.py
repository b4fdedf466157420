"""What does each choice do to the error? Models trained side by side, one choice changed in each.

    python -m benchmarks.accuracy PRODUCTION --out DIR [--preset cpu] [--epochs 8] [--rows base,noise]
    python -m benchmarks.accuracy PRODUCTION --out DIR --table

PRODUCTION is ingested (farm submit ingest). Every row takes the same number of steps on the same frames,
on one thread if not told otherwise; a row that is there already is not trained again, one that was cut
off goes on. The table has errors on the
validation shots, by region and in time, the mean shape, and ridge regression from image PCA to mesh PCA.
`jaw fwd` is the error of the jaw's place along the face, `at its farthest` the same in that tenth of the frames
whose target has the jaw farthest forward.
With a GPU: --preset paper --epochs 200 --device cuda.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.accuracy_rows import ROWS, Row
from benchmarks.accuracy_table import main_first, print_table
from benchmarks.arguments import production_arguments
from benchmarks.own_store import shortened, training_frames, with_own_store
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import Actor, Production

SMALL = (
    "network.input_size",
    "network.channels",
    "network.refine",
)  # what the paper's recipe keeps


@dataclass(frozen=True)
class Bench:
    """What all rows have in common."""

    production: Production  # its store is that of the benchmark, with the production's arrays in it
    actor: Actor
    preset: str
    epochs: float
    device: str | None
    threads: int
    out: Path


def settings_of(row: Row, bench: Bench, frames: int, all_frames: int) -> TrainConfig:
    """The row's configuration: as many steps as the others, whatever footage or batch it has."""
    base = resolve(bench.preset)
    preset = row.preset or bench.preset
    settings = list(row.settings)
    if row.preset and row.preset != bench.preset:  # its recipe, with the network of the other rows
        for setting in SMALL:
            value = base.model_dump(mode="json")["network"][setting.split(".")[1]]
            settings.append(f"{setting}={json.dumps(value)}")
    batch = resolve(preset, network=row.network).batch
    epochs = bench.epochs * row.steps * all_frames / frames * batch / base.batch
    if row.preset == "paper":
        settings.append(f"schedule.rampdown_epochs={0.15 * epochs:g}")
    settings += [f"schedule.epochs={epochs:g}", f"validate_every_epochs={max(epochs / 4, 1):g}"]
    return resolve(preset, settings, network=row.network)


def train_row(row: Row, bench: Bench) -> None:
    """Train it unless it is there; note what it took."""
    notes = bench.out / "rows" / f"{row.name}.json"
    if notes.exists():
        return
    production, actor = bench.production, bench.actor.name
    every = sum(training_frames(production, actor).values())
    if row.minutes is not None:
        production = shortened(production, actor, row.minutes)
    kept = sum(training_frames(production, actor).values())
    config = settings_of(row, bench, kept, every)
    began, cpu = time.monotonic(), time.process_time()
    train_actor(
        production,
        actor,
        config,
        model=row.name,
        cameras=main_first(bench.actor)[: row.views],
        device=bench.device,
        threads=bench.threads,
    )
    notes.parent.mkdir(exist_ok=True)
    facts = {
        "seconds": time.monotonic() - began,
        "processor_seconds": time.process_time() - cpu,
        "frames": kept,
        "epochs": config.schedule.epochs,
    }
    notes.write_text(json.dumps(facts) + "\n")


def main() -> None:
    parser = production_arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--device")
    parser.add_argument("--threads", type=int, default=1, help="of the processor, for training")
    parser.add_argument("--rows", help="names, with commas; else all")
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    production = with_own_store(options.production, options.out)
    bench = Bench(
        production,
        production.actors[options.actor or next(iter(production.actors))],
        options.preset,
        options.epochs,
        options.device,
        options.threads,
        options.out,
    )
    wanted = options.rows.split(",") if options.rows else [row.name for row in ROWS]
    for row in [] if options.table else [row for row in ROWS if row.name in wanted]:
        if row.views > len(bench.actor.cameras):
            print(f"{row.name}: left out, there is one camera only", flush=True)
            continue
        train_row(row, bench)
        print(f"{row.name}: trained", flush=True)
    about = f"{bench.actor.name}, preset {bench.preset}, {bench.epochs:g} epochs"
    print(f"{about}, torch {torch.__version__}")
    print_table(production, bench.actor, bench.out, bench.device)


if __name__ == "__main__":
    main()
