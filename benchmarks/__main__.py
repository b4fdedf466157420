"""Entry: all benchmarks, or some, in one table beside what was measured before.

    python -m benchmarks all --quick|--full [--save]
    python -m benchmarks NAME ... [--quick] [--save]
    python -m benchmarks list

Each question's script runs in a process of its own; its output goes by as it comes. In the end one table
shows the figures that the scripts handed over (benchmarks/record.py), their aims, and by how much each moved
against `results.json` beside this file: `!` where that is more than the quartiles of both runs explain.
Only runs on the same machine and of the same size are compared. `--save` keeps the new figures there.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import busy, commit, date, machine, name, sentence
from benchmarks.record import MARK, RATIO, Figure, parse

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
ALL = (
    "ingest",
    "inference",
    "end_to_end",
    "training",
    "contention",
    "gpu",
    "startup",
    "scale",
    "simulation",
    "overhead",
    "memory",
    "stores",
)
"""The questions that need no footage or production of the user's."""
QUICK = "quick"
FULL = "full"


def question(script: str) -> str:
    """What the script answers, by its docstring; empty where it is no script."""
    tree = ast.parse((HERE / f"{script}.py").read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    text = ast.get_docstring(tree) or ""
    return text.splitlines()[0] if text and "main" in defined else ""


def questions() -> dict[str, str]:
    """Every script with its question."""
    scripts = sorted(path.stem for path in HERE.glob("[a-z]*.py"))
    return {script: asked for script in scripts if (asked := question(script))}


def run(script: str, size: str) -> tuple[list[Figure], int]:
    """Run one script and pass its output on; its figures and its exit status."""
    command = [sys.executable, "-m", f"benchmarks.{script}"]
    command += ["--quick"] if size == QUICK else []
    figures = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith(MARK):
                print(line, end="", flush=True)
            elif (found := parse(line)) is not None:
                figures.append(found)
    return figures, process.returncode


def earlier(results: list[dict[str, Any]], run_now: dict[str, Any]) -> dict[str, Figure]:
    """The figures of the same question, machine and size, by name."""
    for entry in results:
        if _key(entry) == _key(run_now):
            return {row["name"]: Figure(**row) for row in entry["figures"]}
    return {}


def kept(results: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results with the new ones in place of older ones of the same question, machine and size."""
    replaced = {_key(entry) for entry in new}
    whole = [entry for entry in results if _key(entry) not in replaced] + new
    return sorted(whole, key=_key)


def _key(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["question"], name(entry["machine"]), entry["size"]


def table(runs: list[dict[str, Any]], results: list[dict[str, Any]]) -> str:
    """All figures, a line each, as Markdown."""
    lines = [
        "| question | figure | median | quartiles | n | aim | before | moved |",
        "|---|---|---:|---|---:|---|---:|---|",
    ]
    for entry in runs:
        before = earlier(results, entry)
        for row in entry["figures"]:
            found = Figure(**row)
            unit = "" if found.unit == RATIO else f" {found.unit}"
            aim = found.aim + {True: " met", False: " **missed**", None: ""}[found.met]
            old, moved = "", ""
            if (last := before.get(found.name)) is not None:
                times, beyond = found.moved(last)
                old, moved = f"{last.median:.4g}", f"{times - 1:+.1%}" + (" !" if beyond else "")
            lines.append(
                f"| {entry['question']} | {found.name} | {found.median:.4g}{unit}"
                f" | {found.low:.4g} to {found.high:.4g} | {found.n} | {aim} | {old} | {moved} |"
            )
        if not entry["figures"]:
            what = "failed" if entry["status"] else "shown above"
            lines.append(f"| {entry['question']} | ({what}) | | | | | | |")
    return "\n".join(lines)


def measure(scripts: list[str], size: str) -> list[dict[str, Any]]:
    """Run scripts one after the other; an entry each, with what it was measured on."""
    runs = []
    for script in scripts:
        facts = machine()
        print(f"\n== {script}: {question(script)}", flush=True)
        if warning := busy(facts):
            print(warning, flush=True)
        began = time.monotonic()
        figures, status = run(script, size)
        seconds = time.monotonic() - began
        print(f"== {script}: {seconds:.0f} s", flush=True)
        runs.append(
            {
                "question": script,
                "size": size,
                "date": date(),
                "commit": commit(),
                "seconds": round(seconds, 1),
                "status": status,
                "machine": facts,
                "figures": [asdict(found) for found in figures],
            }
        )
    return runs


def main() -> int:
    """Run what is asked for; 1 when a script failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="scripts; or `all`, or `list`")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="a few minutes in all")
    sizes.add_argument("--full", action="store_true", help="what RESULTS.md quotes (the default)")
    parser.add_argument("--save", action="store_true", help="keep the figures for later runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file of kept figures")
    options = parser.parse_args()
    known = questions()
    if options.names == ["list"]:
        for script, asked in known.items():
            print(f"{script:16} {'' if script in ALL else '(by hand) '}{asked}")
        return 0
    scripts = list(ALL) if options.names == ["all"] else options.names
    if unknown := [script for script in scripts if script not in known]:
        parser.error(f"no script is called {unknown[0]!r}; python -m benchmarks list")
    results = json.loads(options.results.read_text()) if options.results.exists() else []
    runs = measure(scripts, QUICK if options.quick else FULL)
    print(f"\n{sentence(machine())}; commit {commit() or 'unknown'}\n\n{table(runs, results)}")
    if options.save:
        # A failed script's figures are not all there are.
        whole = [entry for entry in runs if entry["figures"] and not entry["status"]]
        options.results.write_text(json.dumps(kept(results, whole), indent=1) + "\n")
    return int(any(entry["status"] for entry in runs))


if __name__ == "__main__":
    sys.exit(main())
