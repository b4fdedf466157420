"""Shot lists: names and globs a line, and what is no list at all, which ends with a sentence."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_production import the_fault, write

from facecap_core.errors import ProductionError
from facecap_core.productions.production import Production, load_production
from facecap_core.productions.shot_list import read_shot_list


def shot_list(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def production(tmp_path: Path) -> Production:
    return load_production(write(tmp_path))


def test_a_shot_list_keeps_its_order_and_names_each_shot_once(
    tmp_path: Path, production: Production
) -> None:
    text = "\ufeff# bulk of today\r\nbob_talk   # first\r\n\r\n  ada_* \r\nada_rom\r\n"
    names = read_shot_list(shot_list(tmp_path, text), production)
    assert names == ["bob_talk", "ada_rom", "ada_line"]
    assert read_shot_list(shot_list(tmp_path, "*_[rt]*\n"), production) == ["ada_rom", "bob_talk"]


def test_lines_of_a_shot_list_that_name_nothing(tmp_path: Path, production: Production) -> None:
    path = shot_list(tmp_path, "ada_rom\nada_rmo\n../../x\nbob_x*\n/etc/*\n")
    with pytest.raises(ProductionError) as caught:
        read_shot_list(path, production)
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [
        (str(path), line) for line in (2, 3, 4, 5)
    ]
    assert "ada_rom" in caught.value.faults[0].remedy


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        (b"", "names no shot", None),
        (b"# nothing\n\r\n  # \n", "names no shot", None),
        (b"\xff\xfe\xe9", "not UTF-8", 1),
        (b"ada_rom\n# caf\xe9\n", "not UTF-8", 2),
        ("ada_rom\nada_line\n".encode("utf-16-le"), "has a NUL", 1),
        (b"ada_rom\nada\0_line\n", "has a NUL", 2),
        (b"ada_rom\n../ada_line\n", "'../ada_line' is no shot's name", 2),
        (b"ada_rom\x0bada_line\nada_rmo", "is no shot's name", 1),
        (b"x" * 5_000_000, "is no shot's name", 1),
        (b"ada_rom\n" * 2_500_000, "larger than 16 MiB", None),
    ],
)
def test_a_shot_list_that_is_none(
    tmp_path: Path, production: Production, text: bytes, message: str, line: int | None
) -> None:
    path = shot_list(tmp_path, text)
    with pytest.raises(ProductionError) as caught:
        read_shot_list(path, production)
    fault = caught.value.faults[0]
    assert message in fault.message
    assert (fault.file, fault.line, bool(fault.remedy)) == (str(path), line, True)
    assert len(str(fault)) < 500


def test_a_shot_list_as_windows_saves_unicode(tmp_path: Path, production: Production) -> None:
    path = shot_list(tmp_path, "ada_rom\r\nbob_talk\r\n".encode("utf-16"))
    assert read_shot_list(path, production) == ["ada_rom", "bob_talk"]


def test_of_quite_another_file_a_few_lines_are_told(tmp_path: Path, production: Production) -> None:
    path = shot_list(tmp_path, "".join(f"no_{number}\n" for number in range(5000)))
    with pytest.raises(ProductionError) as caught:
        read_shot_list(path, production)
    assert [fault.line for fault in caught.value.faults] == [*range(1, 21), 20]
    assert "after it were not read" in caught.value.faults[-1].message


def test_a_shot_list_of_one_actor(tmp_path: Path, production: Production) -> None:
    path = shot_list(tmp_path, "ada_rom\n*_talk\nbob_talk\n*\n")
    with pytest.raises(ProductionError) as caught:
        read_shot_list(path, production, actor="ada")
    assert [(fault.line, "is of bob" in fault.message) for fault in caught.value.faults] == [
        (2, True),
        (3, True),
    ]
    path = shot_list(tmp_path, "*_[rt]*\n")
    assert read_shot_list(path, production, actor="ada") == ["ada_rom"]
    with pytest.raises(ProductionError, match="did you mean 'ada'"):
        read_shot_list(path, production, actor="adda")


@contextmanager
def deadline(seconds: int = 30) -> Iterator[None]:
    """A read that never ends fails the test."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", ["folder", "absent", "pipe", "endless", "loop"])
def test_what_is_no_file_ends_with_a_sentence(
    tmp_path: Path, production: Production, kind: str
) -> None:
    for name in ("list.txt", "shots.csv"):
        path = tmp_path / name
        path.unlink(missing_ok=True)
        match kind:
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)  # to which nobody writes
            case "endless":
                path.symlink_to("/dev/zero")
            case "loop":
                path.symlink_to(name)
    with deadline(), pytest.raises(ProductionError) as caught:
        read_shot_list(tmp_path / "list.txt", production)
    (fault,) = caught.value.faults
    assert (fault.file, bool(fault.remedy)) == (str(tmp_path / "list.txt"), True)
    with deadline():
        assert the_fault(tmp_path).file == str(tmp_path / "shots.csv")


def test_a_shot_list_may_come_through_a_pipe(production: Production) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"ada_rom\n")
    threading.Timer(0.2, lambda: (os.write(theirs, b"bob_talk\n"), os.close(theirs))).start()
    with deadline():
        names = read_shot_list(Path(f"/dev/fd/{ours}"), production)
    os.close(ours)
    assert names == ["ada_rom", "bob_talk"]
