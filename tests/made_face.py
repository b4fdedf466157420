"""The made-up actor's face as the network sees it, with 68 points in it known exactly, for tests of landmarks."""

from __future__ import annotations

import dlib
import numpy as np
from pinhole import seen_at

from facecap_core.footage.input_stabilisation import NOSE
from facecap_core.footage.landmark_file import EYES
from facecap_core.madeup.actor import MadeUpActor
from facecap_core.madeup.expressions import controls
from facecap_core.madeup.shoot import CAMERA, CROP, PICTURE_SIZE, Studio

EYE_CM = np.array([3.12, 3.0, 7.5])  # the actor's left one, right in the picture
NOSE_CM = np.array([0.0, -0.5, 9.5])


def made_faces(frames, seed=0):
    """A face that rolls and moves: uint8 [frame, y=320, x=240], and float64 [frame, point=68, xy] of it."""
    rng = np.random.default_rng(seed)
    rotation = np.zeros((frames, 3))
    rotation[:, 2] = rng.uniform(-7, 7, frames)
    translation = rng.uniform(-1, 1, (frames, 3)) * [1.2, 1.2, 0.5]
    actor = MadeUpActor(2017)
    studio = Studio(actor, size=(PICTURE_SIZE[0] // 2, PICTURE_SIZE[1] // 2))
    _, drawn = actor.scene(controls(frames), rotation, translation)
    x, y, width, height = (length // 2 for length in CROP)
    pictures = []
    for mesh in drawn:
        levels = studio.picture(mesh).numpy().mean(axis=0)[y : y + height, x : x + width]
        pictures.append((levels.clip(0, 1) * 255).astype(np.uint8))
    points = drawn[:, _vertices(actor.template)].astype(np.float64)
    return np.stack(pictures), seen_at(points, CAMERA, PICTURE_SIZE)[0] / 2 - [x, y] - 0.5


def moved(points, angle_degrees, shift, centre=(119.5, 159.5)):
    """Points of one picture, turned clockwise as seen about a centre, then shifted."""
    angle = np.radians(angle_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (points - centre) @ turn.T + centre + shift


def upright_points():
    """Level eyes about the middle of the width, nose at the middle of the height."""
    points = np.zeros((68, 2))
    rng = np.random.default_rng(0)
    for eye, x in zip(EYES, (80.5, 158.5), strict=True):
        ring = rng.normal(size=(6, 2))
        points[eye] = (x, 120) + ring - ring.mean(0)
    nose = rng.normal(size=(9, 2)) * 5
    points[NOSE] = (119.5, 159.5) + nose - nose.mean(0)
    return points


def _vertices(template):
    """68 of the mask's vertices, those of the eyes and the nose where they belong."""
    rng = np.random.default_rng(1)
    found = rng.choice(len(template), 68, replace=False)
    places = (
        (slice(36, 42), EYE_CM * [-1, 1, 1]),
        (slice(42, 48), EYE_CM),
        (slice(27, 36), NOSE_CM),
    )
    for points, place in places:
        count = points.stop - points.start
        found[points] = np.argsort(np.linalg.norm(template - place, axis=1))[: 4 * count : 4]
    return found


def train_predictor(path, pictures, points):
    """A shape predictor of these faces, as dlib trains it; small, and quick to train."""
    detector, objects = dlib.get_frontal_face_detector(), []
    for picture, of_picture in zip(pictures, points, strict=True):
        for box in detector(picture, 0)[:1]:
            parts = [dlib.point(*map(round, place)) for place in of_picture.tolist()]
            objects.append([dlib.full_object_detection(box, parts)])
    options = dlib.shape_predictor_training_options()
    options.tree_depth, options.cascade_depth, options.num_trees_per_cascade_level = 3, 6, 40
    options.nu, options.oversampling_amount, options.num_threads = 0.2, 20, 1
    options.random_seed = "7"
    dlib.train_shape_predictor(list(pictures), objects, options).save(str(path))
    return path
