"""Reviews: the video shows every frame of the footage beside its result, and says how far that is from its target."""

from __future__ import annotations

import json
import re
import shutil
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from pxr import Usd
from solved_shots import result, review, solve
from tiny_production import make_production, write_video

from facecap_core.corrections.correction import add_correction
from facecap_core.errors import StoreError
from facecap_core.exports.export import ExportOptions, export_shot
from facecap_core.fingerprints import fingerprint_footage
from facecap_core.flags.shot_flags import Limits, flag_shot
from facecap_core.footage.footage import Footage
from facecap_core.ingest import ingest_frames
from facecap_core.pointcaches.pc2 import write_pc2
from facecap_core.productions.production import load_production
from facecap_core.reports.shot_trust import read_trust
from facecap_core.reports.worst_moments import thumbnails
from facecap_core.reviews.ahead import ahead
from facecap_core.reviews.canvas import Planes
from facecap_core.reviews.measures import measure
from facecap_core.reviews.review import ReviewOptions, review_outputs
from facecap_core.reviews.review_page import review_page
from facecap_core.reviews.reviewed_shot import open_reviewed
from facecap_core.solved_shot import open_solved
from facecap_core.stores.group_writer import new_group

FRAMES = 66  # more than a scene


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    folder = make_production(tmp_path_factory.mktemp("review") / "show", bulk=2, frames=FRAMES)
    solve(folder, "bulk_0", FRAMES)
    return folder


def pictures_of(path):
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (1280, 720)
        assert stream.average_rate == Fraction(30)
        return [picture.to_ndarray(format="rgb24") for picture in video.decode(stream)]


def test_every_frame_is_shown_beside_its_result(production, tmp_path):
    done = review(production, "bulk_0", "--out", str(tmp_path), "--cpus", "3")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["shots"][0]["frames"] == FRAMES
    assert told["shots"][0]["rmse_mm"] is None
    pictures = pictures_of(tmp_path / "bulk_0.mp4")
    assert len(pictures) == FRAMES
    actor = load_production(production).actors["ada"].cameras["center"]
    source = production / "footage" / "bulk_0.mp4"
    with Footage(source, crop=actor.crop, fps=Fraction(30)) as footage:
        luma = np.concatenate([batch.luma for batch in footage.batches(16)])
    # The input panel, a little left of a third of the picture: its brightness column by column.
    shown = np.stack([picture[150:550, 60:380].mean(axis=(0, 2)) for picture in pictures])
    meant = np.stack([picture[40:280].mean(axis=0) for picture in luma])
    places = np.linspace(6, 201, shown.shape[1])
    stretched = [np.interp(places, np.arange(240), columns) for columns in meant]
    like = [np.argmax([np.corrcoef(row, one)[0, 1] for one in stretched]) for row in shown]
    # The pattern comes round after 48 frames.
    assert [frame % 48 for frame in like] == [frame % 48 for frame in range(FRAMES)]
    orange = [
        picture[630:690, :, 0].mean(axis=0) - picture[630:690, :, 2].mean(axis=0)
        for picture in pictures
    ]
    cursor = [int(np.argmax(columns)) for columns in orange]
    assert cursor[0] < cursor[35] < cursor[65]


def test_the_distance_to_a_target_is_measured_and_drawn(production, tmp_path):
    write_pc2(tmp_path / "truth" / "bulk_0.pc2", result(FRAMES) + np.float32([0.3, 0, 0]))
    out = ["--out", str(tmp_path)]
    done = review(production, "bulk_0", *out, "--against", str(tmp_path / "truth"))
    assert done.exit_code == 0, done.output
    (shot,) = json.loads(done.stdout)["shots"]
    assert shot["rmse_mm"] == pytest.approx(3.0, rel=1e-4), "0.3 cm"
    assert len(pictures_of(tmp_path / "bulk_0.mp4")) == FRAMES


def test_what_cannot_be_shown_is_said_and_leaves_nothing(production, tmp_path):
    out = ["--out", str(tmp_path / "out")]
    write_pc2(tmp_path / "truth" / "bulk_0.pc2", result(FRAMES - 1))
    for arguments, words in (
        (["bulk_1"], "the shot is not solved"),
        (["bulk_0", "--against", str(tmp_path / "truth")], "65 frames in the target, 66 in"),
    ):
        done = review(production, *arguments, *out)
        assert isinstance(done.exception, StoreError), done.output
        assert words in str(done.exception)
    some = review(production, "bulk_*", *out)
    assert some.exit_code == 100
    told = json.loads(some.stdout[some.stdout.index("{") :])
    assert [shot["shot"] for shot in told["shots"]] == ["bulk_0"]
    assert list(told["failed"]) == ["bulk_1"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"bulk_0.mp4", "bulk_0.png", "bulk_0.review.json"}


@pytest.mark.parametrize("solved", [FRAMES - 3, FRAMES + 3])
def test_footage_of_another_length_is_refused(production, tmp_path, solved):
    folder = make_production(tmp_path / "show", bulk=1, frames=4)
    write_video(folder / "footage" / "bulk_0.mp4", FRAMES)
    solve(folder, "bulk_0", solved)
    done = review(folder, "bulk_0", "--out", str(tmp_path / "out"))
    assert isinstance(done.exception, StoreError)
    assert f"{solved} frames are solved" in str(done.exception)
    assert not list((tmp_path / "out").iterdir())


def test_footage_that_was_replaced_after_the_solve_is_warned_of(tmp_path):
    folder = make_production(tmp_path / "show", bulk=1, frames=4)
    footage = folder / "footage" / "bulk_0.mp4"
    solve(folder, "bulk_0", 4, footage_fingerprint=fingerprint_footage(footage))
    warning = "bulk_0: its footage is another file than the one that was solved -> solve it again"
    ways = (["--sheet", "--out", str(tmp_path)], ["--save", str(tmp_path / "page.html")])
    for way in ways:
        done = review(folder, "bulk_0", *way)
        assert (done.exit_code, warning in done.stderr) == (0, False), done.output
    write_video(footage, 4, seed=7)
    for way in ways:
        done = review(folder, "bulk_0", *way)
        assert (done.exit_code, warning in done.stderr) == (0, True), done.output


@pytest.mark.parametrize(("known", "ranked"), [(True, "expected RMSE"), (False, "motion")])
def test_frames_are_ranked_by_the_best_that_is_known(tmp_path, known, ranked):
    folder = make_production(tmp_path / "show", bulk=1, frames=20)
    confidence = np.linspace(1, 0.1, 20)
    solve(folder, "bulk_0", 20, confidence=confidence if known else None)
    done = review(folder, "bulk_0", "--sheet", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.glob("bulk_0*")} == {"bulk_0.png", "bulk_0.review.json"}
    told = json.loads((tmp_path / "bulk_0.review.json").read_text())
    assert told["ranked_by"] == ranked
    if known:
        assert told["frames_shown"]["worst"][0] == 19
        assert {flag["reason"] for flag in told["flags"]} >= {"low confidence"}
    line = ["bulk_0", "--sheet", "--out", str(tmp_path)]
    assert json.loads(review(folder, *line).stdout)["shots"][0]["reused"]


def test_corrected_frames_are_marked_and_nobody_is_sent_to_them(tmp_path):
    """Frames 15 to 19 are those of which the model expects most; an artist put them right, with a jump in one."""
    folder = make_production(tmp_path / "show", bulk=1, frames=20)
    solve(folder, "bulk_0", 20, confidence=np.linspace(1, 0.1, 20))
    found = load_production(folder)
    right = result(20)[15:]
    right[2] += 5
    add_correction(found.paths, "ada", "bulk_0", frames=np.arange(15, 20), blocks=[right], facts={})
    done = review(folder, "bulk_0", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "bulk_0.review.json").read_text())
    assert told["corrected"] == [[15, 19]]
    shown = {frame for kind in told["frames_shown"].values() for frame in kind}
    assert told["frames_shown"]["worst"][0] == 14
    assert not shown & set(range(15, 20))
    for flag in told["flags"]:
        assert flag["detail"].endswith("; an artist corrected this frame") == (
            flag["reason"] == "jump"
        )
    assert {flag["reason"] for flag in told["flags"]} >= {"jump", "low confidence"}
    # In the video the name of the panel changes, in green; so does the time line.
    pictures = [picture.astype(int) for picture in pictures_of(tmp_path / "bulk_0.mp4")]
    green = [picture[..., 1] - picture[..., 0] > 80 for picture in pictures]
    named = [int(one[46:66, 590:690].sum()) for one in green]
    assert min(named[15:]) > 40
    assert max(named[:15]) == 0
    # No figure is expected of them, and its name and unit do not stand there alone.
    inked = [int((picture[:44, 300:460].max(axis=2) < 150).sum()) for picture in pictures]
    assert min(inked[:15]) > 100
    assert max(inked[15:]) == 0
    lane = green[0][676:684, 72:1208].any(axis=0)
    assert lane[870:1120].all()
    assert not lane[:840].any()
    # The page of the browser, the list of frames to mend, and the shots to look at first know of it.
    shot = open_reviewed(found, "bulk_0")
    page = review_page(shot, measure(shot))
    inside = json.loads(re.search(r'id="told">(.*?)</script>', page, re.DOTALL)[1])
    (expected,) = (
        line["values"]
        for strip in inside["curves"]
        for line in strip["lines"]
        if line["name"] == "expected RMSE"
    )
    assert inside["corrected"] == [[15, 19]]
    assert [value is None for value in expected] == [False] * 15 + [True] * 5
    assert "5 frames corrected" in page
    low = [
        f
        for f in flag_shot(shot.solved, None, Limits(confidence=1, pad_seconds=0))
        if "low" in f.reason
    ]
    assert [(flag.first, flag.last) for flag in low] == [(0, 14)]
    (trust,) = read_trust(found, {"bulk_0": "m1"}).shots
    assert (trust.confidence[15:] == 1).all()
    assert trust.worst_frame == 14
    # As it was solved there are none.
    as_solved = review(folder, "bulk_0", "--sheet", "--as-solved", "--out", str(tmp_path / "other"))
    assert as_solved.exit_code == 0, as_solved.output
    told = json.loads((tmp_path / "other" / "bulk_0.review.json").read_text())
    assert (told["corrected"], told["frames_shown"]["worst"][0]) == ([], 19)


@pytest.mark.parametrize(
    ("seen", "missing", "words"),
    [
        (["center"], [], "m1 from center"),
        (["center", "left"], [], "m1 from center and left"),
        (["center"], ["left"], "m1 from center, without left"),
    ],
)
def test_reviews_and_exports_say_which_cameras_a_shot_was_solved_from(
    tmp_path, seen, missing, words
):
    folder = make_production(tmp_path / "show", bulk=1, frames=4)
    solve(folder, "bulk_0", 4, cameras=["center"])
    assert open_solved(load_production(folder), "bulk_0").solver == "m1", "there is no other one"
    settings = (folder / "production.toml").read_text()
    settings += "[actors.ada.cameras.left]\ncrop = [0, 0, 48, 64]\n"
    (folder / "production.toml").write_text(settings)
    solve(folder, "bulk_0", 4, cameras=seen, missing_cameras=missing)
    assert review(folder, "bulk_0", "--sheet", "--out", str(tmp_path)).exit_code == 0
    found = load_production(folder)
    export_shot(found, "bulk_0", tmp_path, ExportOptions())
    for record in ("bulk_0.review.json", "bulk_0.json"):
        told = json.loads((tmp_path / record).read_text())
        assert (told["cameras"], told["missing_cameras"]) == (seen, missing), record
    shot = open_reviewed(found, "bulk_0")
    assert f"solved by {words}<" in review_page(shot, measure(shot))
    stage = Usd.Stage.Open(str(tmp_path / "bulk_0.usdc"))
    assert stage.GetRootLayer().comment == f"bulk_0 of ada, solved by {words}"


def test_the_rate_is_exact_and_flagged_frames_are_marked(tmp_path):
    folder = make_production(tmp_path / "show", bulk=1, frames=4)
    settings = (folder / "production.toml").read_text()
    (folder / "production.toml").write_text(settings.replace('"30"', '"24000/1001"'))
    write_video(folder / "footage" / "bulk_0.mp4", 24, rate=Fraction(24000, 1001))
    confidence = np.where(np.arange(24) < 16, 1.0, 0.1)
    solve(folder, "bulk_0", 24, confidence=confidence, fps="24000/1001", start_frame=100)
    done = review(folder, "bulk_0", "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    with av.open(str(tmp_path / "bulk_0.mp4")) as video:
        stream = video.streams.video[0]
        assert stream.average_rate == Fraction(24000, 1001)
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
        pictures = [picture.to_ndarray(format="rgb24") for picture in video.decode(stream)]
    assert len(pictures) == 24
    content = (tmp_path / "bulk_0.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "players begin before they have it all"
    said = [int((picture[592:610, 400:1208].min(axis=2) < 128).sum()) for picture in pictures]
    assert min(said[18:]) > 100, "the reason is shown"
    assert max(said[:10]) == 0
    # The strip: blue where it is confident, red where it is not.
    strip = pictures[0][690, 80:1200].astype(int)
    assert (strip[40:600, 2] > strip[40:600, 0] + 40).all(), "beyond the cursor"
    assert (strip[-300:, 0] > strip[-300:, 2] + 40).all()


def test_colours_are_those_that_a_player_shows():
    rng = np.random.default_rng(0)
    flat = np.kron(rng.uniform(size=(3, 4, 5)), np.ones((1, 16, 16)))  # [rgb, y, x]
    canvas = Planes.of(np.zeros((64, 80, 3), np.uint8))
    canvas.put_colours(torch.tensor(flat, dtype=torch.float32), 0, 0)
    meant = np.round(255 * flat).astype(np.uint8).transpose(1, 2, 0)
    whole = Planes.of(meant)
    for mine, theirs in ((canvas.luma, whole.luma), *zip(canvas.chroma, whole.chroma, strict=True)):
        step = 16 * len(mine) // 64  # the middles of the squares, for converters blur their edges
        apart = mine.astype(int)[step // 2 :: step, step // 2 :: step]
        assert np.abs(apart - theirs[step // 2 :: step, step // 2 :: step]).max() <= 1
    frame = canvas.frame()
    frame.colorspace, frame.color_range = 1, 1
    shown = frame.to_ndarray(format="rgb24").astype(int)
    assert np.abs(shown - meant)[8::16, 8::16].max() <= 4


def test_what_goes_wrong_ahead_comes_where_it_would_have_come():
    ended = []

    def items():
        try:
            yield from range(3)
            raise StoreError("gone", remedy="look")
        finally:
            ended.append(True)

    taken = []
    with pytest.raises(StoreError), ahead(items(), 1) as found:
        taken.extend(found)
    with ahead(items(), 1) as found:
        assert next(found) == 0  # and no more
    assert ended == [True, True]


def test_a_camera_that_is_gone_is_said(production, tmp_path):
    folder = tmp_path / "show"
    shutil.copytree(production, folder, symlinks=True)
    solve(folder, "bulk_0", FRAMES, camera="witness")
    for more in (["--sheet"], ["--save", str(tmp_path / "page.html")]):
        done = review(folder, "bulk_0", "--out", str(tmp_path / "out"), *more)
        assert done.exit_code
        assert isinstance(done.exception, StoreError)
        assert "solved from the camera witness" in str(done.exception)
        assert not (tmp_path / "out").exists()
    with_pictures = thumbnails(load_production(folder), [("bulk_0", 3)])
    assert len(with_pictures[0]) == 1, "the result alone"


def test_a_target_of_another_template_or_of_a_cache_that_was_taken_out_is_none(
    production, tmp_path
):
    folder = tmp_path / "show"
    shutil.copytree(production, folder, symlinks=True)
    shots = (folder / "shots.csv").read_text()
    topology = open_reviewed(load_production(folder), "bulk_0").template.topology_sha256
    made = set()
    for cache, told, known in (
        ("caches/bulk_0.pc2", topology, True),
        ("caches/bulk_0.pc2", "of another", False),
        ("", topology, False),
    ):
        (folder / "shots.csv").write_text(
            shots.replace("bulk_0,ada,rom,,,", f"bulk_0,ada,rom,,{cache},")
        )
        found = load_production(folder)
        with new_group(found.paths.targets("bulk_0")) as group:
            group.positions(4).append(result(FRAMES))
            group.set_attributes({"topology_sha256": told})
        assert (open_reviewed(found, "bulk_0").target is not None) == known
        made |= set(review_outputs(found, "bulk_0", tmp_path, ReviewOptions()).wanted.values())
    assert len(made) == 3 * 2, "video and sheet are made anew each time"


def test_a_thumbnail_is_of_the_pictures_that_were_solved(production, tmp_path):
    """Neither of those that were ingested before the footage was replaced, nor of footage that came later."""
    folder = tmp_path / "show"
    shutil.copytree(production, folder, symlinks=True)
    video, other = folder / "footage/bulk_0.mp4", folder / "footage/bulk_1.mp4"
    found = load_production(folder)

    def ingest():
        ingest_frames(
            video,
            crop=found.actors["ada"].cameras["center"].crop,
            fps=found.fps,
            destination=found.paths.frames("bulk_0", "center"),
        )

    def seen():
        *pictures, _ = thumbnails(found, [("bulk_0", 3)])[0]
        return pictures

    first = fingerprint_footage(video)
    ingest()
    solve(folder, "bulk_0", FRAMES, footage_fingerprint=first)
    before = seen()
    shutil.copy(other, video)
    assert seen() == before, "from the store, which has them still"
    solve(folder, "bulk_0", FRAMES, footage_fingerprint=fingerprint_footage(video))
    after = seen()
    assert after not in ([], before), "decoded: those in the store are the earlier ones"
    ingest()
    assert seen() == after
    solve(folder, "bulk_0", FRAMES, footage_fingerprint=first)
    assert seen() == [], "what was solved is nowhere any more"
