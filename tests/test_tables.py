"""Tables: what stands in them on terminals of any width, and what a narrow one leaves out."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from made_jobs import make_job
from solved_shots import solve
from tiny_production import make_production

from farm.tables import PROSE_WIDTH, fitting, left_out_sentence, print_table

COLUMNS = ["shot", "state", "took", "host"]
ROWS = [["ada_line_0001", "failed", "5m12s", "render-node-0117"], ["b", "queued", "", ""]]
SPARE = ("host", "took")


@pytest.mark.parametrize(
    ("width", "kept"),
    [
        (46, ["shot", "state", "took", "host"]),
        (45, ["shot", "state", "took"]),
        (28, ["shot", "state", "took"]),
        (27, ["shot", "state"]),
        (5, ["shot", "state"]),
    ],
)
def test_what_has_no_room_is_left_out_and_told(width, kept):
    assert fitting(COLUMNS, ROWS, SPARE, width) == kept
    gone = ", ".join(name for name in COLUMNS if name not in kept)
    assert left_out_sentence(COLUMNS, kept) == (f"(no room for: {gone})" if gone else "")


def test_lines_of_a_cell_count_one_by_one():
    assert fitting(["a", "b"], [["x\nyyy", "z"]], ("b",), 6) == ["a", "b"]
    assert fitting(["a", "b"], [["x\nyyyy", "z"]], ("b",), 6) == ["a"]


def on_a_terminal(folder, width, *arguments):
    """What `farm` prints on a terminal of this width."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "farm.app", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "dumb", "COLUMNS": str(width), "LINES": "40"},
        timeout=240,
    )
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode in (0, 100), text
    return text.replace("\r", "")


def test_names_and_states_stay_whole_in_60_columns(tmp_path):
    folder = make_production(tmp_path / "tiny", train=2, frames=2)
    ledger = make_job(folder, "failed")
    listed = on_a_terminal(folder, 60, "list")
    assert f"{ledger.job}  failed" in listed
    assert "(no room for: submitted, by)" in " ".join(listed.split())
    checked = on_a_terminal(folder, 60, "check")
    (row,) = [line for line in checked.splitlines() if line.split()[:1] == ["train_0"]]
    assert row.split() == ["train_0", "rom", "train", "2", "48", "x", "64", "ok"]
    assert "(no room for: minutes, cache)" in checked
    for width in (60, 400):
        found = on_a_terminal(folder, width, "status")
        assert "train_1  failed" in found
        assert "train_1: x.mp4: no such file -> find it" in found


def test_a_sentence_breaks_where_names_and_figures_stay_whole(capsys, monkeypatch):
    columns, rows = ["shot", "severity", "why"], [["ada_line_0001", "1.5", "a word " * 9]]
    room = 13 + 2 + 8 + 2 + PROSE_WIDTH
    assert fitting(columns, rows, ("severity", "why"), room, prose=("why",)) == columns
    assert fitting(columns, rows, ("severity", "why"), room - 1, prose=("why",)) == ["shot", "why"]
    assert fitting(columns, rows, ("severity", "why"), 36, prose=("why",)) == ["shot"]
    monkeypatch.setattr("farm.tables.PIPED_WIDTH", room)
    print_table(columns, rows, spare=("severity", "why"), prose=("why",))
    first, second = capsys.readouterr().out.splitlines()[1:3]
    assert first.split()[:4] == ["ada_line_0001", "1.5", "a", "word"]
    assert second.split()[:3] == ["word", "a", "word"]
    assert second.startswith(" " * 25)


def test_flagged_shots_stay_whole_in_80_columns(tmp_path):
    folder = make_production(tmp_path / "tiny", bulk=1, frames=20)
    solve(folder, "bulk_0", 20, confidence=np.linspace(1, 0.1, 20))
    for width in (60, 80):
        told = on_a_terminal(folder, width, "flag", "bulk_0")
        assert "bulk_0  " in told
        assert "low confidence" in told
        assert max(map(len, told.splitlines())) <= width
