"""Files: whole or absent, and fingerprints that follow content."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from crashing import in_process
from footage_files import FRAMES, write_video

from facecap_core.errors import FootageMissing, StoreError
from facecap_core.files import write_bytes_atomically
from facecap_core.fingerprints import fingerprint_file, fingerprint_footage
from facecap_core.stores.owners import ABANDONED_SECONDS
from facecap_core.stores.versions import whole_directory
from facecap_core.whole_path import whole_path


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_bytes_atomically(path, b"old")
    write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file.json"]


def test_a_file_that_cannot_be_written_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for below in ("inside", "deeper/inside"):
        with pytest.raises(StoreError, match=r"a file stands where the folder .*file"):
            write_bytes_atomically(tmp_path / "file" / below, b"x")


def test_an_interrupted_directory_never_appears(tmp_path):
    final = tmp_path / "array"
    with pytest.raises(KeyboardInterrupt), whole_directory(final) as staged:
        (staged.path / "half").write_text("half")
        raise KeyboardInterrupt
    assert not final.exists()
    assert os.listdir(tmp_path / ".versions") == ["array.lock"]


def test_a_folder_that_copying_made_plain_is_not_written_over(tmp_path):
    final = tmp_path / "array"
    final.mkdir()
    (final / "value").write_text("copied")
    with pytest.raises(StoreError, match="move this folder away"), whole_directory(final) as staged:
        (staged.path / "value").write_text("new")
    assert (final / "value").read_text() == "copied"
    assert [n for n in os.listdir(tmp_path / ".versions") if "@" in n] == []


def test_a_reader_of_the_old_version_can_finish_after_a_replacement(tmp_path):
    final = tmp_path / "array"
    with whole_directory(final) as staged:
        (staged.path / "value").write_text("old")
    pinned = os.path.realpath(final)
    with whole_directory(final) as staged:
        (staged.path / "value").write_text("new")
    assert (final / "value").read_text() == "new"
    assert Path(pinned, "value").read_text() == "old"


def write_text(final, text):
    with whole_directory(final) as staged:
        (staged.path / "value").write_text(text)


def make_older(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_living_writer_is_not_swept_however_long_it_takes(tmp_path):
    final = tmp_path / "array"
    with whole_directory(final) as slow:
        (slow.path / "value").write_text("slow")
        make_older(slow.path, 2 * ABANDONED_SECONDS)
        write_text(final, "quick")
    assert (final / "value").read_text() == "slow"


def test_what_another_machine_left_is_kept_for_a_day(tmp_path):
    final = tmp_path / "array"
    left = tmp_path / ".versions" / f"array@elsewhere-{os.getpid()}@0.partial"
    left.mkdir(parents=True)
    make_older(left, ABANDONED_SECONDS / 2)
    write_text(final, "one")
    assert left.exists()
    make_older(left, 2 * ABANDONED_SECONDS)
    write_text(final, "two")
    assert not left.exists()


@pytest.mark.parametrize("size", [0, 1, 70_000, 4 * 2**20, 4 * 2**20 + 1, 9 * 2**20])
def test_fingerprints_follow_content(tmp_path, size):
    path = tmp_path / "a"
    content = bytearray(os.urandom(size))
    path.write_bytes(content)
    first = fingerprint_file(path)
    (tmp_path / "b").write_bytes(content)
    assert fingerprint_file(tmp_path / "b") == first
    path.write_bytes(content + b"x")
    assert fingerprint_file(path) != first
    if size:
        content[-1] ^= 1
        path.write_bytes(content)
        assert fingerprint_file(path) != first


def test_a_sequence_is_fingerprinted_by_its_members_alone(tmp_path):
    for i in range(3):
        (tmp_path / f"shot.{i:04d}.png").write_bytes(b"picture %d" % i)
    first = fingerprint_footage(tmp_path / "shot.%04d.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    assert fingerprint_footage(tmp_path / "shot.%04d.png") == first
    (tmp_path / "shot.0003.png").write_bytes(b"picture 3")
    assert fingerprint_footage(tmp_path / "shot.%04d.png") != first
    with pytest.raises(FootageMissing):
        fingerprint_footage(tmp_path / "other.%04d.png")


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [("a.avi", "rawvideo", "yuv420p"), ("a.mov", "v210", "yuv422p10le")],
)
def test_a_mended_picture_of_uncompressed_footage_is_another_footage(
    tmp_path, name, codec, pixel_format
):
    """Wherever it is: its bytes lie in their place, and those of all others stay where they were."""
    path = write_video(
        tmp_path / name, codec, pixel_format, size=(320, 240), stamps=range(FRAMES * 4)
    )
    first, content = fingerprint_footage(path), bytearray(path.read_bytes())
    assert len(content) > 4 * 2**20
    for place in range(200_000, len(content) - 200_000, 333_333):
        content[place] ^= 1
        path.write_bytes(content)
        assert fingerprint_footage(path) != first, place
        content[place] ^= 1
    path.write_bytes(content)
    assert fingerprint_footage(path) == first


def test_pictures_of_a_sequence_that_may_be_uncompressed_count_whole(tmp_path):
    content = bytearray(os.urandom(5 * 2**20))
    (tmp_path / "a.0001.dpx").write_bytes(content)
    first = fingerprint_footage(tmp_path / "a.%04d.dpx")
    content[82_000] ^= 1  # between two of the blocks of `fingerprint_file`
    (tmp_path / "a.0001.dpx").write_bytes(content)
    assert fingerprint_footage(tmp_path / "a.%04d.dpx") != first


def write_whole(path, text="new"):
    with whole_path(path) as made:
        made.write_text(text)


def kill_while_writing(path):
    with whole_path(path) as made:
        made.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_writer_of_a_file_left_is_removed_by_the_next_one(tmp_path):
    path, other = tmp_path / "shot.usdc", tmp_path / "shot.pc2"
    for place in (path, path, other):
        assert in_process(kill_while_writing, place) == -signal.SIGKILL
    assert not path.exists()
    assert len(os.listdir(tmp_path)) == 2, "the second one removed what the first one left"
    write_whole(path)
    (left,) = set(os.listdir(tmp_path)) - {"shot.usdc"}
    assert left.startswith(".shot.pc2@"), "that is another file's"
    write_whole(other)
    assert sorted(os.listdir(tmp_path)) == ["shot.pc2", "shot.usdc"]


def test_a_file_that_is_being_written_is_not_swept(tmp_path):
    path = tmp_path / "shot.usdc"
    with whole_path(path) as slow:
        make_older(slow.parent, 2 * ABANDONED_SECONDS)
        slow.write_text("slow")
        # Of a machine that shares the folder nothing is known but when it last wrote.
        for host, age in (("near", 0.5), ("far", 2)):
            copy = shutil.copytree(slow.parent, tmp_path / f".shot.usdc@{host}-1@0.part")
            make_older(copy, age * ABANDONED_SECONDS)
        write_whole(path, "quick")
        left = {name for name in os.listdir(tmp_path) if name.endswith(".part")}
        assert left == {slow.parent.name, ".shot.usdc@near-1@0.part"}
    assert path.read_text() == "slow"


def test_a_whole_file_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []

    def fsync(descriptor):
        named = os.readlink(f"/proc/self/fd/{descriptor}")
        synced.append((os.path.basename(named), (tmp_path / "shot").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_path(tmp_path / "shot") as made:
        made.mkdir()
        (made / "shot.0000.obj").write_text("v 0 0 0")
    assert {("shot.0000.obj", False), ("shot", False)} < set(synced)
    assert synced[-1] == (tmp_path.name, True)


@pytest.mark.parametrize("name", ["shot", "replaced", "before"])
def test_a_folder_takes_the_place_of_whatever_is_there(tmp_path, name, monkeypatch):
    path, elsewhere = tmp_path / name, tmp_path / "elsewhere"
    elsewhere.mkdir()
    path.symlink_to(elsewhere)
    for number in range(3):
        with whole_path(path) as made:
            made.mkdir()
            (made / str(number)).write_text("")
        assert os.listdir(path) == [str(number)]
    assert os.listdir(elsewhere) == []
    write_whole(path)
    assert path.read_text() == "new"
    with whole_path(path) as made:
        made.mkdir()
    assert path.is_dir()
    assert sorted(os.listdir(tmp_path)) == sorted([name, "elsewhere"])


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path, replace = tmp_path / "shot", os.replace
    path.mkdir()

    def refuse(source, target):
        if Path(target) == path and Path(source).name == "shot":
            raise OSError(5, "no")
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no"), whole_path(path) as made:
        made.mkdir()
    assert os.listdir(tmp_path) == ["shot"]


def test_a_place_where_nothing_can_be_made_is_told_by_the_name_that_was_given(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "shot.usdc"
    told = pytest.raises(StoreError, match="a file stands where the folder")
    with told as caught, whole_path(path):
        raise AssertionError("nothing is begun")
    assert caught.value.fault.file == str(path)
