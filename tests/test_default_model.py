"""Default model: the newest, and what is said where it is no better than those that it was tuned from."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_production import make_production, write_cache

from facecap_core.corrections.correction import add_correction, take_out
from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.template import read_template
from jobs.ledger import Ledger
from jobs.planning import plan_train


@pytest.fixture
def folder(tmp_path):
    return make_production(tmp_path / "tiny", train=2, frames=2)


def make_model(folder, name, date, **facts):
    """As much of a model as its choice looks at."""
    place = load_production(folder).paths.model("ada", name)
    place.mkdir(parents=True)
    (place / "weights.safetensors").write_text(name)
    known = {"model": name, "cameras": ["center"], "made": {"date": date}}
    (place / "model.json").write_text(json.dumps({**known, **facts}))


def test_the_default_model_is_shown_and_that_its_base_was_better(main, folder):
    def tuned(error_mm, base="cpu-2"):
        return {
            "validation": {"rmse_mm": error_mm},
            "training": {"base": {"model": base, "fingerprint": ""}},
        }

    make_model(folder, "cpu-1", "2026-01-01", validation={"rmse_mm": 0.4})
    make_model(folder, "cpu-2", "2026-01-02", validation={"rmse_mm": 0.5})
    (folder / "list.txt").write_text("train_0\n")
    infer = ["submit", "infer", "--shots", "list.txt", "--dry-run"]
    _, out, _ = main(folder, "models")
    assert "tuned" not in out
    make_model(folder, "cpu_tuned-3", "2026-01-03", **tuned(0.51))
    said = (
        "cpu_tuned-3 has a validation error of 0.510 mm, cpu-2, from which it was tuned, 0.500:"
        " name the model that you want"
    )
    _, out, _ = main(folder, "models")
    assert [line.split()[:3] for line in out.splitlines()[1:4]] == [
        ["cpu_tuned-3", "ada", "yes"],
        ["cpu-2", "ada", "center"],
        ["cpu-1", "ada", "center"],
    ]
    assert said in out
    _, out, _ = main(folder, "models", "--json")
    assert [m["default"] for m in json.loads(out)["models"]] == [True, False, False]
    code, _, err = main(folder, *infer)
    assert code == 0
    assert "cpu_tuned-3 of ada: the newest, and so the default" in err
    assert f"warning: {said}" in err
    _, _, err = main(folder, *infer, "--model", "cpu-2")
    assert "default" not in err
    make_model(folder, "cpu_tuned-4", "2026-01-04", **tuned(0.49))
    _, _, err = main(folder, *infer)
    assert "cpu_tuned-4 of ada: the newest" in err
    assert "warning" not in err
    # Better than its base, but that had lost already.
    make_model(folder, "cpu_tuned-5", "2026-01-05", **tuned(0.495, base="cpu_tuned-3"))
    make_model(folder, "cpu_tuned-6", "2026-01-06", **tuned(0.505, base="cpu_tuned-5"))
    make_model(folder, "cpu_tuned-7", "2026-01-07", **tuned(0.498, base="cpu_tuned-6"))
    _, _, err = main(folder, *infer)
    assert "cpu_tuned-7 has a validation error of 0.498 mm, cpu_tuned-5, from which" in err
    make_model(folder, "cpu_tuned-8", "2026-01-08", **tuned(0.6, base="cpu_tuned-8"))
    assert "warning" not in main(folder, *infer)[2], "a file that was changed by hand"
    harder = tuned(0.6)
    harder["validation"]["shots"] = {"validation_0": {"frames": 30, "rmse_mm": 0.6}}
    make_model(folder, "cpu_tuned-9", "2026-01-09", **harder)
    _, _, err = main(folder, *infer)
    assert "cpu_tuned-9 of ada: the newest" in err
    assert "warning" not in err, "errors of other frames say nothing about the two"


def test_a_tuning_with_nothing_new_to_learn_is_warned_of(main, folder):
    production = load_production(folder)
    first = plan_train(production, actor="ada", config=resolve("demo", []))
    Ledger.create(production.paths.jobs, first)
    template = read_template(folder / "template.obj")
    make_model(
        folder,
        first.model,
        "2026-01-01",
        config=first.config,
        crop={"center": [0, 0, 48, 64]},
        topology_sha256=template.topology_sha256,
        units="cm",
        training={},
    )
    train = ["submit", "train", "--from", first.model, "--dry-run"]

    def warned(*more):
        code, _, err = main(folder, *train, *more)
        assert code == 0, err
        return f"warning: {first.model} learned from the same shots and corrections" in err

    assert warned()
    assert not warned("--epochs", "3"), "who says how long means it"
    found = add_correction(
        production.paths,
        "ada",
        "train_0",
        frames=np.arange(2),
        blocks=[np.tile(template.positions, (2, 1, 1)).astype(np.float32)],
        facts={"topology_sha256": template.topology_sha256},
    )
    assert not warned()
    assert warned("--without-corrections")
    take_out(production.paths, "ada", "train_0", found.number)
    assert warned()
    write_cache(folder / "caches" / "train_1.pc2", 2, seed=5)
    assert not warned(), "another target"
