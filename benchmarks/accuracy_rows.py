"""Accuracy rows: the models that benchmarks/accuracy.py trains side by side, one choice changed in each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A model: settings on top of the preset of all rows. Every row takes the same number of steps."""

    name: str
    meaning: str
    settings: tuple[str, ...] = ()
    network: str = "convolutional"
    preset: str | None = None  # else that of all rows
    views: int = 1  # cameras, in the production's order, the main one first
    minutes: float | None = None  # of training footage; None: all
    steps: float = 1.0  # times those of the other rows


LARGER = (  # the network of preset `cpu` with a stage more
    "network.input_size=[120,160]",
    "network.channels=[16,32,48,80,112]",
    "network.refine=[false,true,true,true,true]",
)

ROWS = (
    Row("base", "the preset as it is"),
    Row("base-seed", "the same, another seed: how much chance is in a figure", ("seed=7",)),
    # Section 3.1
    Row("output-fixed", "output layer kept at the PCA basis", ("network.train_output=false",)),
    Row("output-random", "output layer not started from PCA", ('network.output_start="random"',)),
    Row("whitening-image", "each image whitened by itself", ('whitening="image"',)),
    Row("whitening-none", "levels divided by 255", ('whitening="none"',)),
    # Section 4.1
    Row(
        "geometry-none",
        "no translation, rotation or zoom",
        (
            "augmentation.translation=0",
            "augmentation.rotation_degrees=0",
            "augmentation.zoom=0",
        ),
    ),
    Row("noise", "and noise of up to 4 % of the range", ("augmentation.noise=0.04",)),
    Row("gamma", "and a gamma of 1/1.3 to 1.3", ("augmentation.gamma=0.26",)),
    Row("perspective", "and perspective of up to 10 %", ("augmentation.perspective=0.1",)),
    # Appendix A
    Row(
        "affine",
        "affine-invariant loss, output layer fixed",
        ("network.train_output=false", 'loss.kind="affine-invariant"'),
    ),
    Row(
        "targets-stabilised",
        "targets stabilised by Appendix A.2",
        ('targets="stabilised"',),
    ),
    # Appendix B
    Row("fully-connected", "Appendix B on pictures as they are", network="fully-connected"),
    Row(
        "fully-connected-stabilised",
        "Appendix B on stabilised pictures",
        ("stabilised_input=true",),
        network="fully-connected",
    ),
    Row(
        "stabilised",
        "the convolutional network on stabilised pictures",
        ("stabilised_input=true",),
    ),
    Row(
        "stabilised-still",
        "and without translation, rotation or zoom",
        (
            "stabilised_input=true",
            "augmentation.translation=0",
            "augmentation.rotation_degrees=0",
            "augmentation.zoom=0",
        ),
    ),
    Row(
        "stabilised-still-long",
        "the same, five times the steps",
        (
            "stabilised_input=true",
            "augmentation.translation=0",
            "augmentation.rotation_degrees=0",
            "augmentation.zoom=0",
        ),
        steps=5,
    ),
    Row(
        "fully-connected-long",
        "Appendix B on stabilised pictures, five times the steps",
        ("stabilised_input=true",),
        network="fully-connected",
        steps=5,
    ),
    # Section 5.1
    Row("two-cameras", "a second camera, both are always there", views=2),
    Row("two-cameras-seed", "the same, another seed", ("seed=7",), views=2),
    Row(
        "two-cameras-dropped",
        "a second camera, either may be missing",
        ("network.view_dropout=0.2",),
        views=2,
    ),
    Row("long", "one camera, three times the steps", steps=3),
    Row("two-cameras-long", "a second camera, three times the steps", views=2, steps=3),
    Row("long-seed", "one camera, another seed", ("seed=7",), steps=3),
    Row("two-cameras-long-seed", "a second camera, another seed", ("seed=7",), views=2, steps=3),
    Row("larger", "one camera, pictures of 120x160, three times the steps", LARGER, steps=3),
    Row(
        "two-cameras-larger",
        "a second camera, pictures of 120x160, three times the steps",
        LARGER,
        views=2,
        steps=3,
    ),
    # Section 5.3
    Row("motion-2", "motion to the next frame, weight 2", ("loss.motion=2",)),
    Row("motion-10", "weight 10", ("loss.motion=10",)),
    Row(
        "neighbours",
        "the next frames of a quarter of the batch, but no weight on motion",
        ("loss.motion=1e-9",),
    ),
    Row("regions", "lips and lids weigh 4 times", ('loss.regions={"lips": 4, "lids": 4}',)),
    Row("by-motion", "vertices weigh by how far they move", ("loss.by_motion=0.5",)),
    Row("lips", "distance between lips, weight 1", ("loss.lips=1",)),
    Row("lids", "distance between lids, weight 1", ("loss.lids=1",)),
    # Section 4.2 and presets
    Row("recipe-paper", "Adam and schedule of Section 4.2, dropout 0.2", preset="paper"),
    # Section 5.2: how many minutes to track
    Row("minutes-0.5", "half a minute of footage", minutes=0.5),
    Row("minutes-1", "one minute", minutes=1),
    Row("minutes-2", "two minutes", minutes=2),
)
