"""Does `fast` reach the error of `paper` with a tenth of its compute? Both recipes on a small network, on any actor.

    python -m benchmarks.recipes PRODUCTION --out DIR [--minutes 1] [--recipes paper,fast] [--seeds 1]

PRODUCTION is ingested (farm submit ingest). The network is that of preset `cpu` (60x80 pixels), the only one that
a machine without a GPU trains for 200 epochs; batch, epochs, optimizer, schedule, augmentation and dropout are
each recipe's own. One thread, so that several runs fit beside each other. A run that is there already is not
done again. `benchmarks/gpu.py` asks the same of the whole network on a GPU.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.accuracy import SMALL, begin, shortened
from facecap_core.learning.actor_training import train_actor
from facecap_core.learning.config import TrainConfig
from facecap_core.learning.presets import resolve
from facecap_core.stores.groups import open_targets


def small(recipe: str, seed: int) -> TrainConfig:
    """The preset with the network of `cpu`."""
    network = resolve("cpu").model_dump(mode="json")["network"]
    settings = [f"{name}={json.dumps(network[name.split('.')[1]])}" for name in SMALL]
    return resolve(recipe, [*settings, f"seed={seed}", "validate_every_epochs=1000"])


def main() -> None:
    """Train what is missing, print all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("production", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--actor", help="else the first")
    parser.add_argument("--minutes", type=float, help="of training footage; else all")
    parser.add_argument("--recipes", default="paper,fast")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    options.preset, options.epochs, options.device = "cpu", 0.0, None
    bench = begin(options)
    production, actor = bench.production, bench.actor.name
    frames = {
        shot.name: open_targets(production.paths.targets(shot.name)).frames
        for shot in production.shots_of(actor, split="train")
    }
    if options.minutes is not None:
        production = shortened(production, actor, options.minutes, frames)
    kept = sum(frames[shot.name] for shot in production.shots_of(actor, split="train"))
    print(f"{actor}, {kept} training frames; the mean of the frames' RMSE, and pooled, in mm")
    for recipe in options.recipes.split(","):
        for seed in range(1, options.seeds + 1):
            notes = bench.out / "recipes" / f"{recipe}-{kept}-{seed}.json"
            if not notes.exists():
                config, began = small(recipe, seed), time.process_time()
                name = f"{recipe}-{kept}-{seed}"
                train_actor(production, actor, config, model=name, threads=1)
                model = production.paths.model(actor, name) / "model.json"
                facts = {
                    **json.loads(model.read_text())["validation"],
                    "frames_seen": round(kept * config.schedule.epochs),
                    "processor_seconds": time.process_time() - began,
                }
                notes.parent.mkdir(parents=True, exist_ok=True)
                notes.write_text(json.dumps(facts) + "\n")
            found = json.loads(notes.read_text())
            print(
                f"  {recipe:6} seed {seed}: {found['frame_mean_mm']:.3f}, {found['rmse_mm']:.3f} mm,"
                f" {found['frames_seen']} frames seen, {found['processor_seconds']:.0f} s of a processor",
                flush=True,
            )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
