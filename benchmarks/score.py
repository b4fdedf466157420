"""How near is a solved production to the truth? Bulk shots against point caches that know better.

    python -m benchmarks.score PRODUCTION TRUTH_FOLDER [--actor A]

For footage made with known geometry: TRUTH_FOLDER holds SHOT.pc2 (or any readable cache) for the bulk shots.
Prints a row a shot: frames, RMSE in mm over the animated vertices, 95th percentile, worst frame; and
the model that solved it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.arguments import production_arguments
from facecap_core.learning.rmse import pooled_rmse_mm
from facecap_core.productions.production import load_production
from facecap_core.scoring import score_shot
from facecap_core.stores.groups import open_vertices
from facecap_core.template import read_animated, read_template


def main() -> None:
    parser = production_arguments(__doc__)
    parser.add_argument("truth", type=Path)
    options = parser.parse_args()
    production = load_production(options.production)
    actor = options.actor or next(iter(production.actors))
    settings = production.actors[actor]
    template = read_template(settings.template)
    animated = read_animated(settings.animated, template.vertex_count)
    print(f"{'shot':24} {'frames':>7} {'rmse mm':>8} {'95 %':>7} {'worst':>7}  model")
    everything = []
    for shot in production.shots_of(actor, split=""):
        path = production.paths.vertices(actor, shot.name)
        truth = next(options.truth.glob(f"{shot.name}.*"))
        errors = score_shot(
            path,
            truth,
            template=template,
            animated=animated,
            mm_per_unit=production.mm_per_unit,
        )
        everything.append(errors)
        model = open_vertices(path).attributes["model"]
        print(
            f"{shot.name:24} {len(errors):7d} {pooled_rmse_mm(errors):8.3f} "
            f"{np.percentile(errors, 95):7.3f} {errors.max():7.3f}  {model}"
        )
    errors = np.concatenate(everything)
    print(
        f"{'all':24} {len(errors):7d} {pooled_rmse_mm(errors):8.3f} "
        f"{np.percentile(errors, 95):7.3f} {errors.max():7.3f}"
    )


if __name__ == "__main__":
    main()
