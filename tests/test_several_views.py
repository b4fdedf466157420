"""Several views: one network fed by two cameras, from training to vertices."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from tiny_production import SIZE, make_production, write_video

from facecap_core.errors import Cancelled, ConfigError, FootageError, FootageMissing, TrainingError
from facecap_core.inference import infer_shot
from facecap_core.ingest import ingest_frames, ingest_targets
from facecap_core.learning.config import NetworkConfig, TrainConfig
from facecap_core.learning.model import MOST_ERROR_MM, autocast, load_model, whitened
from facecap_core.learning.networks import build_network, parameter_count
from facecap_core.learning.run import Run
from facecap_core.learning.several_views import SeveralViews, set_chances, view_sets
from facecap_core.learning.training import train
from facecap_core.learning.trainingset import Examples, ShotPaths, load_examples
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_frames, open_vertices
from facecap_core.template import read_template

VERTICES = 40
FPS = Fraction(30)
NETWORK = {
    "input_size": (30, 40),
    "channels": (16, 24, 32),
    "refine": (False, True, False),
    "components": 4,
    "dropout": 0.0,
}


def examples(frames, seed):
    """Two cameras: the first sees a square move sideways, the second up and down; the mesh does both."""
    rng = np.random.default_rng(seed)
    place = np.sin(np.arange(frames)[:, None] / 7 * [1.0, 1.37] + rng.uniform(0, 6.28, 2))
    x = np.arange(30) - (15 + 8 * place[:, :1])  # [frame, x]
    y = np.arange(40) - (20 + 8 * place[:, 1:])
    sideways = np.exp(-(x[:, None, :] ** 2 + (np.arange(40) - 20)[:, None] ** 2) / 20)
    upright = np.exp(-(((np.arange(30) - 15) ** 2) + y[:, :, None] ** 2) / 20)
    luma = 40 + 180 * np.stack([sideways, upright], axis=1) + rng.normal(0, 2, (frames, 2, 40, 30))
    shapes = np.random.default_rng(99).normal(size=(2, 3 * VERTICES))
    return Examples(
        torch.from_numpy(luma.clip(0, 255).astype(np.uint8)),
        torch.from_numpy(place @ shapes * 0.3).float(),
        ((f"shot{seed}", frames),),
    )


def settings(epochs=16, view_dropout=0.0):
    return TrainConfig.model_validate(
        {
            "preset": "test",
            "batch": 16,
            "network": NETWORK | {"view_dropout": view_dropout},
            "schedule": {"kind": "cosine", "epochs": epochs, "learning_rate": 4e-3},
            "augmentation": {"translation": 0.01, "rotation_degrees": 1, "zoom": 0.0},
        }
    )


def run(folder, config, views=(0, 1), **options):
    def only(data):
        return Examples(data.luma[:, list(views)], data.positions, data.shots)

    facts = {
        "actor": "a",
        "model": "m",
        "units": "cm",
        "fps": "30",
        "topology_sha256": "t",
        "cameras": [("center", "left")[view] for view in views],
        "crop": {"center": [0, 0, *SIZE], "left": [4, 4, 36, 48]},
        "picture_size": {"center": list(SIZE), "left": list(SIZE)},
    }
    return train(
        only(examples(120, 0)),
        only(examples(50, 1)),
        config,
        animated=np.arange(VERTICES),
        facts=facts,
        model_directory=folder / "m",
        state_directory=folder / "state",
        device="cpu",
        threads=1,
        **options,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two cameras; two of which either may be missing; the first alone."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "both": run(folder / "both", settings()),
        "either": run(folder / "either", settings(epochs=28, view_dropout=0.4)),
        "one": run(folder / "one", settings(), views=(0,)),
    }
    return {name: result.directory for name, result in made.items()}, made


def error_mm(model, views=None):
    held_back = examples(50, 1)
    chosen = [0, 1] if views is None else views
    found = model.predict(held_back.luma[:, chosen].numpy(), views).reshape(50, -1)
    return 10 * (3 * np.square(found - held_back.positions.numpy()).mean()) ** 0.5


def test_the_second_camera_shows_what_the_first_does_not(models):
    _, made = models
    assert made["both"].validation_rmse_mm < made["one"].validation_rmse_mm / 10


def test_a_model_tells_how_much_each_camera_decides(models):
    folders, made = models
    shares = load_model(folders["both"], "cpu").facts["camera_shares"]
    assert set(shares) == {"center", "left"}
    # Each shows one of two motions of the same size.
    assert all(0.4 < share < 0.95 for share in shares.values())
    assert made["both"].unused == ()
    assert "camera_shares" not in load_model(folders["one"], "cpu").facts


def test_a_camera_whose_layers_are_silent_is_told(models, tmp_path):
    folders, _ = models
    base = load_model(folders["both"], "cpu")
    with torch.no_grad():
        last = [part for part in base.network.features[1] if isinstance(part, torch.nn.Conv2d)][-1]
        last.bias.fill_(-1e3)
    result = run(tmp_path, settings(epochs=1), base=base)
    assert result.unused == ("left",)
    assert load_model(result.directory, "cpu").facts["camera_shares"]["left"] == 0


def test_a_camera_may_be_missing_only_where_training_was_so(models):
    folders, made = models
    either = load_model(folders["either"], "cpu")
    assert either.may_miss_views
    assert error_mm(either) == pytest.approx(made["either"].validation_rmse_mm, abs=MOST_ERROR_MM)
    one = made["one"].validation_rmse_mm
    assert error_mm(either) < one / 8
    for view in (0, 1):
        assert error_mm(either, [view]) < 1.5 * one, "as good as one camera can be"
    both = load_model(folders["both"], "cpu")
    assert not both.may_miss_views


def test_each_camera_has_its_whitening_and_the_model_file_says_so(models):
    folders, _ = models
    model = load_model(folders["both"], "cpu")
    data = examples(120, 0)
    for view, camera in enumerate(("center", "left")):
        levels = data.luma[:, view].double()
        assert model.facts["whitening"][camera]["mean"] == pytest.approx(levels.mean().item())
        assert model.whitening[view].deviation == pytest.approx(
            levels.std(correction=0).item(), rel=1e-6
        )


@pytest.mark.parametrize("views", [(0,), (1,), (0, 1)])
def test_only_the_cameras_that_are_there_are_looked_at(views):
    config = NetworkConfig.model_validate(NETWORK | {"view_dropout": 0.5})
    network = build_network(config, 9, 2)
    assert isinstance(network, SeveralViews)
    torch.manual_seed(1)
    images = torch.randn(3, len(views), 40, 30)
    before = network(images, views)
    for absent in {0, 1} - set(views):
        for parameter in network.features[absent].parameters():
            parameter.data.add_(1.0)
    assert torch.equal(network(images, views), before)
    for present in views:
        moved = images.clone()
        moved[:, views.index(present)] += 1
        assert not torch.equal(network(moved, views), before)


def test_sets_of_cameras_are_all_there_once():
    assert list(view_sets(3)) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]


def test_more_optional_cameras_than_there_can_be_layers_are_refused():
    config = NetworkConfig.model_validate(NETWORK | {"view_dropout": 0.1})
    with pytest.raises(ConfigError, match="at most 4"):
        build_network(config, 9, 5)
    assert parameter_count(build_network(NetworkConfig.model_validate(NETWORK), 9, 5)) > 0


@pytest.mark.parametrize("missing", [0.2, 0.7])
@pytest.mark.parametrize("loss", [{}, {"by_motion": 0.5}])
def test_view_dropout_is_the_expectation_over_the_cameras_that_are_left(missing, loss):
    config = settings(view_dropout=missing)
    config = TrainConfig.model_validate(config.model_dump() | {"loss": loss, "preset": "test"})
    learned = Run(examples(64, 0), None, config, np.arange(VERTICES), torch.device("cpu"))
    learned.network.train()
    frames = learned.order.batch(0, config.batch)  # the first step is not augmented
    images = whitened(learned.training.luma[frames], learned.whitening)
    target = learned.training.positions[frames]
    expected = torch.zeros(())
    for lost in product([False, True], repeat=2):  # each camera is lost with that chance
        chance = np.prod([missing if gone else 1 - missing for gone in lost])
        kept = [view for view in (0, 1) if not lost[view]] or [0, 1]
        with autocast(torch.device("cpu")):
            said = learned.network(images[:, kept], kept)
        expected = expected + float(chance) * learned.objective(said, target)
    parameters = list(learned.network.parameters())
    wanted = torch.autograd.grad(expected, parameters)
    learned.step(0)
    for parameter, gradient in zip(parameters, wanted, strict=True):
        assert parameter.grad is not None
        apart = (parameter.grad - gradient).norm()
        assert apart < 0.02 * gradient.norm() + 1e-9  # bfloat16 adds up in other orders


def test_chances_of_the_cameras_that_are_left():
    assert set_chances(2, 0.2) == pytest.approx([0.16, 0.16, 0.68])
    assert set_chances(3, 0.5) == pytest.approx([0.125] * 6 + [0.25])
    assert set_chances(1, 0.3) == pytest.approx([1.0])


def test_view_dropout_resumes_as_if_uninterrupted(tmp_path):
    config = settings(epochs=3, view_dropout=0.5)
    run(tmp_path / "whole", config)
    with pytest.raises(Cancelled):
        run(tmp_path / "b", config, progress_seconds=0, on_progress=lambda p: p.done < 100)
    run(tmp_path / "b", config)
    whole, resumed = (
        load_model(tmp_path / name / "m", "cpu").network.state_dict() for name in ("whole", "b")
    )
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


# -- footage -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage")
    return {
        "center": write_video(folder / "center.mp4", 40, seed=1),
        "left": write_video(folder / "left.mp4", 40, seed=2),
    }


def solve(model, footage, destination):
    return infer_shot(model, footage, fps=FPS, destination=destination, device="cpu", threads=1)


def test_vertices_are_what_the_network_makes_of_both_cameras(tmp_path, models, footage):
    folder = models[0]["both"]
    model = load_model(folder, "cpu")
    views = []
    for camera, path in footage.items():
        ingest_frames(
            path, crop=model.crop(camera), fps=FPS, destination=tmp_path / f"{camera}.zarr"
        )
        views.append(open_frames(tmp_path / f"{camera}.zarr").read("luma"))
    expected = model.predict(np.stack(views, axis=1))
    assert solve(folder, footage, tmp_path / "v.zarr").frames == 40
    store = open_vertices(tmp_path / "v.zarr")
    np.testing.assert_allclose(store.read("positions"), expected, rtol=1e-4, atol=1e-5)
    assert store.attributes["cameras"] == ["center", "left"]
    assert store.attributes["missing_cameras"] == []
    assert store.attributes["crops"] == {c: list(model.crop(c)) for c in ("center", "left")}
    assert set(store.attributes["footage_fingerprints"]) == {"center", "left"}
    assert solve(folder, footage, tmp_path / "v.zarr").reused
    other = footage | {"left": footage["center"]}
    assert not solve(folder, other, tmp_path / "v.zarr").reused


def test_a_missing_camera_is_refused_or_done_without(tmp_path, models, footage):
    left = {"left": footage["left"]}
    with pytest.raises(FootageMissing, match="no footage of center"):
        solve(models[0]["both"], left, tmp_path / "v.zarr")
    assert not (tmp_path / "v.zarr").exists()
    assert solve(models[0]["either"], left, tmp_path / "v.zarr").frames == 40
    attributes = open_vertices(tmp_path / "v.zarr").attributes
    assert (attributes["cameras"], attributes["missing_cameras"]) == (["left"], ["center"])
    with pytest.raises(FootageMissing):
        solve(models[0]["either"], {}, tmp_path / "none.zarr")


@pytest.mark.parametrize("frames", [33, 32, 41])
def test_cameras_of_different_length_are_refused_and_leave_nothing(
    tmp_path, models, footage, frames
):
    odd = write_video(tmp_path / "odd.mp4", frames, seed=3)
    longer = "left" if frames > 40 else "center"
    with pytest.raises(
        FootageError, match=f"has {min(frames, 40)} frames, camera {longer} has more"
    ):
        solve(models[0]["both"], footage | {"left": odd}, tmp_path / "v.zarr")
    assert not (tmp_path / "v.zarr").exists()


def test_training_refuses_cameras_of_different_length(tmp_path):
    production = load_production(make_production(tmp_path / "tiny", train=1, frames=20))
    short = write_video(tmp_path / "short.mp4", 19)
    paths, shot = production.paths, production.shots["train_0"]
    stores = []
    for camera, path in (("center", shot.footage["center"]), ("left", short)):
        stores.append(paths.frames("train_0", camera))
        ingest_frames(path, crop=(0, 0, *SIZE), fps=FPS, destination=stores[-1])
    ingest_targets(
        shot.cache,
        template=read_template(production.actors["ada"].template),
        units="cm",
        fps=FPS,
        destination=paths.targets("train_0"),
    )
    given = ShotPaths("train_0", tuple(stores), paths.targets("train_0"))
    with pytest.raises(TrainingError, match="train_0: 19 frames in the video, 20 in the cache"):
        load_examples([given], units="cm", input_size=(60, 80))
    whole = ShotPaths("train_0", (stores[0], stores[0]), paths.targets("train_0"))
    loaded = load_examples([whole], units="cm", input_size=(60, 80))
    assert loaded.luma.shape == (20, 2, 80, 60)
    assert torch.equal(loaded.luma[:, 0], loaded.luma[:, 1])
