"""Thinned production: the same pictures with a mesh of few vertices, for benchmarks that train many models."""

from __future__ import annotations

from pathlib import Path

from facecap_core.productions.production import Production
from facecap_core.stores.group_writer import new_group
from facecap_core.stores.groups import open_targets
from facecap_core.template import read_animated, read_template


def thinned(
    given: Production, actor: str, out: Path, vertices: int, kept: list[str] | None
) -> Production:
    """A production of the same pictures whose mesh has about so many of the actor's animated vertices.

    Training shots that are not kept are bulk; shots without targets are left out.
    """
    settings = given.actors[actor]
    template = read_template(settings.template)
    animated = read_animated(settings.animated, template.vertex_count)
    chosen = animated[:: max(1, len(animated) // vertices)]
    store = out / "store"
    store.mkdir(parents=True, exist_ok=True)
    if not (store / "frames").is_symlink():
        (store / "frames").symlink_to((given.store / "frames").resolve())
    path = out / "template.obj"
    points = template.positions[chosen].tolist()
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points]
    # Nothing here needs its surface.
    lines += [f"f {corner} {corner + 1} {corner + 2}" for corner in range(1, len(points) - 1)]
    path.write_text("\n".join(lines) + "\n")
    shots = {}
    for shot in given.shots_of(actor):
        if not (source := given.paths.targets(shot.name)).exists():
            continue
        bulk = kept is not None and shot.split == "train" and shot.name not in kept
        shots[shot.name] = shot.model_copy(update={"split": ""}) if bulk else shot
        target = store / "targets" / f"{shot.name}.zarr"
        if not target.exists():
            whole = open_targets(source)
            with new_group(target) as group:
                positions = group.positions(len(chosen))
                for block in whole.chunks("positions"):
                    positions.append(block[:, chosen])
                group.set_attributes({"cache_fingerprint": shot.name})
    thin = settings.model_copy(update={"template": path, "animated": None, "regions": None})
    return given.model_copy(
        update={"store": store, "arrays": None, "shots": shots, "actors": {actor: thin}}
    )
