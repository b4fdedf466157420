"""The benchmarks' entry: figures are taken over from scripts, kept, and compared with earlier ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from tracked_production import make_tracked

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import __main__ as entry
from benchmarks import recipes
from benchmarks.machine import busy, machine, sentence
from benchmarks.own_store import shortened, training_frames, validation_of, with_own_store
from benchmarks.record import Figure, figure, parse, ratio
from facecap_core.learning.presets import resolve


def run_of(figures, *, size="quick", question="ingest", machine_facts=None):
    facts = machine_facts or {"processor": "p", "cores": 2, "gpu": ""}
    rows = [asdict(found) for found in figures]
    return {"question": question, "size": size, "machine": facts, "figures": rows, "status": 0}


def test_a_figure_is_the_median_of_its_rounds(capsys):
    assert ratio("ours : limit", [1.0, 4.0, 3.0], [1.0, 2.0, 1.0], at_least=1.5) == 2.0
    found = parse(capsys.readouterr().out)
    assert found == Figure("ours : limit", 2.0, 1.5, 2.5, 3, at_least=1.5)
    assert found.met
    assert figure("once", [3.0], unit="s", at_most=2.0) == 3.0
    once = parse(capsys.readouterr().out)
    assert (once.low, once.high, once.met, once.aim) == (3.0, 3.0, False, "<= 2")


@pytest.mark.parametrize("line", ["frames/s 3", "@ nothing", '@ {"median": 1}', '@ {"x": 1}'])
def test_other_lines_are_output(line):
    assert parse(line) is None


@pytest.mark.parametrize(
    ("median", "beyond"), [(1.05, False), (1.2, True), (0.5, True), (1.0, False)]
)
def test_what_the_spread_explains_is_no_move(median, beyond):
    before = Figure("a", 1.0, 0.9, 1.1, 5)
    now = Figure("a", median, 0.95 * median, 1.05 * median, 5)
    assert now.moved(before) == (pytest.approx(median), beyond)


def test_only_the_same_machine_and_size_are_compared():
    old = run_of([Figure("a", 2.0, 2.0, 2.0, 3)])
    now = [Figure("a", 1.0, 1.0, 1.0, 3, at_least=1.5), Figure("b", 1.0, 1.0, 1.0, 3)]
    text = entry.table([run_of(now)], [old])
    assert "| 2 | -50.0% ! |" in text
    assert ">= 1.5 **missed**" in text
    other = {"processor": "q", "cores": 2, "gpu": "H200"}
    for stranger in (run_of(now, size="full"), run_of(now, machine_facts=other)):
        assert "%" not in entry.table([stranger], [old])


def test_new_figures_replace_those_of_the_same_question():
    first, second = run_of([Figure("a", 1.0, 1.0, 1.0, 1)]), run_of([])
    third = run_of([], question="scale")
    assert entry.kept([first], [second, third]) == [second, third]


SCRIPT = '''"""How much is one? Beside two"""
import sys
from benchmarks.record import figure
def main():
    print("as people read it", sys.argv[1:])
    figure("one", [1.0, 1.0])
    sys.exit(3 if "--quick" in sys.argv else 0)
main()
'''


def test_a_script_is_run_shown_and_kept(tmp_path):
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("__main__", "machine", "record"):
        shutil.copy(entry.HERE / f"{name}.py", folder)
    (folder / "made.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "benchmarks"]

    def run(*arguments, code=0):
        ran = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == code, ran.stderr
        return ran.stdout

    assert "How much is one?" in run("list")
    assert "as people read it []" in run("made", "--save")
    (kept,) = json.loads((folder / "results.json").read_text())
    assert (kept["question"], kept["size"]) == ("made", "full")
    assert "| 1 | +0.0% |" in run("made")
    assert "| made | one | 1 |" in run("made", "--quick", "--save", code=1)
    assert json.loads((folder / "results.json").read_text()) == [kept]  # no failed script's
    assert run("unknown", code=2) == ""


def test_every_question_has_a_script():
    assert {*entry.ALL} <= {*entry.questions()}


def test_the_machine_is_described():
    facts = machine()
    assert f"{facts['cores']} cores" in sentence(facts)
    assert not busy({**facts, "load": 0.0})
    assert "warning" in busy({**facts, "load": 10.0 * facts["cores"]})


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    return make_tracked(tmp_path_factory.mktemp("benchmarks") / "tracked")


def test_a_benchmarks_models_lie_apart_from_the_productions(tracked, tmp_path):
    production = with_own_store(tracked, tmp_path)
    small = ["schedule.epochs=1", "network.input_size=[30,40]", "network.components=4"]
    config, notes = resolve("demo", small), tmp_path / "notes" / "one.json"
    found = validation_of(production, "ada", config, "one", notes)
    assert found["rmse_mm"] > 0
    assert found["processor_seconds"] > 0
    before = notes.stat().st_mtime_ns
    assert validation_of(production, "ada", config, "one", notes) == found
    assert notes.stat().st_mtime_ns == before  # it was not trained again
    assert (tmp_path / "store" / "models" / "ada" / "one").exists()
    assert not (tracked / "store" / "models").exists()


def test_less_footage_is_whole_shots(tracked, tmp_path):
    production = with_own_store(tracked, tmp_path)
    every = training_frames(production, "ada")
    assert every == {"learn_a": 40, "learn_b": 30}
    less = shortened(production, "ada", 10 / 30 / 60)  # minutes of ten frames
    assert len(training_frames(less, "ada")) == 1
    assert len(less.shots) == len(production.shots) - 1


def test_recipes_begin(tracked, tmp_path, monkeypatch, capsys):
    arguments = [str(tracked), "--out", str(tmp_path), "--seeds", "0"]
    monkeypatch.setattr(sys, "argv", ["recipes", *arguments])
    recipes.main()
    assert "ada, 70 training frames" in capsys.readouterr().out
