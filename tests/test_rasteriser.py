"""The rasteriser against a float64 search over all faces in every pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pinhole import seen_at

from facecap_core.rasteriser import Camera, Lighting, Rasteriser, framing_camera, render

SIZE = (44, 36)


def search(
    positions: np.ndarray, faces: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest face and its depth in every pixel, and whether the pixel is clear of edges and ties."""
    width, height = SIZE
    screen, depth = seen_at(positions.astype(np.float64), camera, SIZE)
    gx, gy = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    best = np.full((height, width), 1e9)
    second = np.full((height, width), 2e9)
    face_at = np.full((height, width), -1)
    clear = np.ones((height, width), bool)
    for number, face in enumerate(faces):
        (ax, ay), (bx, by), (cx, cy) = screen[face]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:  # y runs down, so the front is clockwise in these numbers
            continue
        weights = (
            np.stack(
                [
                    (cx - bx) * (gy - by) - (cy - by) * (gx - bx),
                    (ax - cx) * (gy - cy) - (ay - cy) * (gx - cx),
                    (bx - ax) * (gy - ay) - (by - ay) * (gx - ax),
                ]
            )
            / area
        )
        heights = (
            abs(area) / np.array([np.hypot(cx - bx, cy - by), np.hypot(ax - cx, ay - cy), np.hypot(bx - ax, by - ay)])
        )  # fmt: skip
        outside = (weights * heights[:, None, None]).min(axis=0)  # pixels inside, negative outside
        clear &= np.abs(outside) > 0.02
        z = 1 / (weights / depth[face][:, None, None]).sum(axis=0)
        covered = outside > 0
        nearer = covered & (z < best)
        second = np.where(nearer, best, np.where(covered, np.minimum(second, z), second))
        face_at = np.where(nearer, number, face_at)
        best = np.where(nearer, z, best)
    return face_at, best, clear & ~(second - best < 1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_random_faces_are_seen_as_the_search_sees_them(seed: int) -> None:
    generator = np.random.default_rng(seed)
    positions = generator.normal(size=(60, 3)) * [4.0, 3.0, 3.0]
    faces = generator.permuted(np.tile(np.arange(60), (40, 1)), axis=1)[:, :3]
    camera = Camera((3.0, 2.0, 20.0), (0.2, 0.1, 0.0), vertical_fov_degrees=24.0)
    expected, depth, clear = search(positions, faces, camera)
    seen = Rasteriser(faces, size=SIZE).see(torch.tensor(positions, dtype=torch.float32), camera)
    face_at = np.full(SIZE[0] * SIZE[1], -1)
    depth_at = np.full(SIZE[0] * SIZE[1], np.inf)
    face_at[seen.pixels] = seen.faces
    depth_at[seen.pixels] = seen.depths
    face_at, depth_at = face_at.reshape(expected.shape), depth_at.reshape(expected.shape)
    assert clear.mean() > 0.5
    assert (expected[clear] >= 0).mean() > 0.3
    np.testing.assert_array_equal(face_at[clear], expected[clear])
    shown = clear & (expected >= 0)
    np.testing.assert_allclose(depth_at[shown], depth[shown], rtol=2e-3)
    # The weights rebuild the point that the pixel's ray meets.
    corners = positions[faces[seen.faces.numpy()]]
    point = np.einsum("kn,nkx->nx", seen.weights.numpy(), corners)
    screen, _ = seen_at(point, camera, SIZE)
    centre = np.stack(
        [seen.pixels.numpy() % SIZE[0] + 0.5, seen.pixels.numpy() // SIZE[0] + 0.5], 1
    )
    assert np.abs(screen - centre).max() < 0.05


def tiling(seed: int | None) -> tuple[np.ndarray, np.ndarray]:
    """A sheet cut into triangles; without seed, corners and diagonals fall on pixel centres exactly."""
    columns, rows = 9, 7
    x, y = np.meshgrid(np.arange(columns) * 5.0, np.arange(rows) * 5.0)
    if seed is not None:
        moved = np.random.default_rng(seed).uniform(-2, 2, size=(2, rows, columns))
        x[1:-1, 1:-1] += moved[0, 1:-1, 1:-1]
        y[1:-1, 1:-1] += moved[1, 1:-1, 1:-1]
    positions = np.stack([x - 21.5, 17.5 - y, np.zeros_like(x)], -1).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    below = corner + columns
    faces = np.concatenate(
        [np.stack([corner, below, below + 1], 1), np.stack([corner, below + 1, corner + 1], 1)]
    )
    return positions, faces


# 36 units high at distance 100: one unit is one pixel.
FLAT = Camera((0.0, 0.0, 100.0), vertical_fov_degrees=float(2 * np.degrees(np.arctan(0.18))))


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_faces_that_share_edges_leave_no_hole_and_no_overlap(seed: int | None) -> None:
    positions, faces = tiling(seed)
    points = torch.tensor(positions, dtype=torch.float32)
    count = np.zeros(SIZE[0] * SIZE[1], int)
    for face in faces:
        seen = Rasteriser(face[None], size=SIZE).see(points, FLAT)
        count[seen.pixels.numpy()] += 1
    count = count.reshape(SIZE[1], SIZE[0])
    assert count.max() == 1
    assert (count[1:30, 1:40] == 1).all()
    together = Rasteriser(faces, size=SIZE).see(points, FLAT)
    assert len(together.pixels) == count.sum() == 40 * 30


def test_nearer_face_wins_whatever_the_order_and_backs_are_not_drawn() -> None:
    triangle = np.array([[-9.0, -9.0, 0.0], [9.0, -9.0, 0.0], [0.0, 9.0, 0.0]])
    positions = np.concatenate([triangle, triangle * 0.5 + [0, 0, 5]])
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        seen = Rasteriser(np.array(faces), size=SIZE).see(torch.tensor(positions).float(), FLAT)
        middle = seen.pixels == 18 * SIZE[0] + 22
        assert faces[int(seen.faces[middle])] == [3, 4, 5]
        assert float(seen.depths[middle]) == pytest.approx(95.0, rel=1e-4)
    back = Rasteriser(np.array([[2, 1, 0]]), size=SIZE).see(torch.tensor(positions).float(), FLAT)
    assert len(back.pixels) == 0


def test_faces_outside_or_behind_are_harmless() -> None:
    positions = np.array(
        [[-1e9, -1e9, 0], [1e9, -1e9, 0], [0, 1e9, 0], [0, 0, 150], [1, 0, 150], [0, 1, 150]]
    )
    rasteriser = Rasteriser(np.array([[0, 1, 2], [3, 4, 5], [0, 1, 3]]), size=SIZE)
    seen = rasteriser.see(torch.tensor(positions, dtype=torch.float32), FLAT)
    assert len(seen.pixels) == SIZE[0] * SIZE[1]  # the huge face covers all, the others nothing
    assert set(seen.faces.tolist()) == {0}
    nothing = rasteriser.see(torch.tensor(positions + [0, 0, 1e6], dtype=torch.float32), FLAT)
    assert len(nothing.pixels) == 0


def sphere(rows: int = 24, columns: int = 32) -> tuple[np.ndarray, np.ndarray]:
    polar, around = np.meshgrid(
        np.linspace(0.01, np.pi - 0.01, rows),
        np.arange(columns) * 2 * np.pi / columns,
        indexing="ij",
    )
    points = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], -1
    )
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns), indexing="ij")
    a, b = i * columns + j, (i + 1) * columns + j
    c, d = (i + 1) * columns + (j + 1) % columns, i * columns + (j + 1) % columns
    faces = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(-1, 3)
    return points.reshape(-1, 3), faces


def test_shading_follows_the_formula_on_a_sphere() -> None:
    points, faces = sphere(80, 120)
    camera = framing_camera(points, SIZE[0] / SIZE[1])
    rasteriser = Rasteriser(faces, size=SIZE)
    positions = torch.tensor(points, dtype=torch.float32)
    colour = np.array([0.8, 0.5, 0.3])
    picture = rasteriser.render(positions, camera=camera, colours=torch.tensor(colour), gloss=0.4)
    seen = rasteriser.see(positions, camera)
    normal = np.einsum("kn,nkx->nx", seen.weights.numpy(), points[faces[seen.faces.numpy()]])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    lighting = Lighting()
    expected = np.tile(np.array(lighting.ambient) * colour**2, (len(normal), 1))
    for light in lighting.lights:
        towards = np.array(light.direction) / np.linalg.norm(light.direction)
        halfway = towards + [0, 0, 1]
        halfway /= np.linalg.norm(halfway)
        diffuse = np.clip((normal @ towards + lighting.wrap) / (1 + lighting.wrap), 0, None)
        expected += diffuse[:, None] * np.array(light.colour) * colour**2
        expected += 0.4 * np.clip(normal @ halfway, 0, None)[:, None] ** 32 * np.array(light.colour)
    expected = 255 * np.sqrt(np.clip(expected, 0, 1))
    actual = picture.reshape(-1, 3)[seen.pixels].numpy()
    assert np.abs(actual - expected).max() < 3.0
    assert picture[0, 0].tolist() == [26, 26, 28]  # the background


def test_framing_holds_the_mesh_and_fills_the_picture() -> None:
    points, faces = sphere()
    for aspect_size in ((40, 60), (60, 40)):
        camera = framing_camera(
            points * [1.0, 1.3, 1.0] + [5, -2, 3], aspect_size[0] / aspect_size[1]
        )
        picture = render(
            points * [1.0, 1.3, 1.0] + [5, -2, 3], faces, camera=camera, size=aspect_size, background=(0, 0, 0)
        )  # fmt: skip
        drawn = picture.any(axis=2)
        assert not drawn[[0, -1]].any()
        assert not drawn[:, [0, -1]].any()
        assert drawn.any(axis=0).mean() > 0.75 or drawn.any(axis=1).mean() > 0.75


def test_frames_are_drawn_one_by_one_and_always_alike() -> None:
    points, faces = sphere()
    camera = framing_camera(points, 1.0)
    frames = np.stack([points, points * 0.9, points + [0.05, 0, 0]])
    colours = np.random.default_rng(0).random(points.shape)
    first = render(frames, faces, camera=camera, size=(50, 50), colours=colours)
    again = render(frames, faces, camera=camera, size=(50, 50), colours=colours)
    single = render(frames[2], faces, camera=camera, size=(50, 50), colours=colours)
    assert first.shape == (3, 50, 50, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[2], single)
    assert not np.array_equal(first[0], first[1])
    large = render(points, faces, camera=camera, size=(50, 50), colours=colours, supersample=3)
    assert np.abs(large.astype(int) - first[0]).mean() < 12


def test_texture_lies_where_uvs_say() -> None:
    positions = np.array([[-10.0, -10, 0], [10, -10, 0], [10, 10, 0], [-10, 10, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    uvs = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    texture = np.random.default_rng(0).random((20, 20, 3))
    light = Lighting(lights=(), ambient=(1.0, 1.0, 1.0))
    rasteriser = Rasteriser(faces, size=SIZE, lighting=light, uvs=uvs, texture=texture)
    picture = rasteriser.render(positions, camera=FLAT, colours=(0.5, 1.0, 1.0), gloss=0.0)
    shown = picture.numpy()[8:28, 12:32]  # one texel is one pixel; both have their first row on top
    np.testing.assert_allclose(shown / 255, texture * [0.5, 1, 1], atol=0.005)
    with pytest.raises(ValueError, match="texture"):
        Rasteriser(faces, size=SIZE, uvs=uvs)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="faces"):
        Rasteriser(np.zeros((4, 4), int), size=(8, 8))
    with pytest.raises(ValueError, match="positions"):
        Rasteriser(np.zeros((1, 3), int), size=(8, 8)).render(np.zeros((3, 2)), camera=FLAT)
    with pytest.raises(ValueError, match="target"):
        Camera((0, 0, 0)).axes()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_gpu_draws_what_the_processor_draws() -> None:
    points, faces = sphere()
    camera = framing_camera(points, 1.0)
    here = render(points, faces, camera=camera, size=(64, 64))
    there = render(points, faces, camera=camera, size=(64, 64), device="cuda")
    assert np.abs(here.astype(int) - there).max() <= 2


def test_what_was_seen_once_is_shaded_as_if_it_was_drawn_anew() -> None:
    points, faces = sphere()
    camera = framing_camera(points, SIZE[0] / SIZE[1])
    rasteriser = Rasteriser(faces, size=SIZE)
    look = rasteriser.look(points, camera)
    even = Lighting(ambient=(0.75, 0.75, 0.75), wrap=0.0)
    colours = np.random.default_rng(0).uniform(size=points.shape)
    for lighting, tints in ((Lighting(), None), (even, colours), (Lighting(), None)):
        shaded = rasteriser.shade(look, colours=tints, lighting=lighting)
        whole = Rasteriser(faces, size=SIZE, lighting=lighting)
        drawn = whole.render_planes(points, camera=camera, colours=tints)
        assert torch.equal(shaded, drawn)


def test_small_and_large_faces_are_cut_alike() -> None:
    """Small ones are counted in 32 bits; a far larger face in the picture makes all be counted in 64."""
    points, faces = sphere()
    camera = framing_camera(points, SIZE[0] / SIZE[1])
    far = np.array([[-1e3, -1e3, -90.0], [1e3, -1e3, -90.0], [0.0, 1e3, -90.0]])
    positions = torch.tensor(np.concatenate([points, far]), dtype=torch.float32)
    alone = Rasteriser(faces, size=SIZE).see(positions, camera)
    both = Rasteriser(np.concatenate([faces, [np.arange(3) + len(points)]]), size=SIZE)
    beside = both.see(positions, camera)
    assert len(beside.pixels) == SIZE[0] * SIZE[1]
    on_sphere = beside.faces < len(faces)
    assert torch.equal(beside.pixels[on_sphere], alone.pixels)
    assert torch.equal(beside.faces[on_sphere], alone.faces)
