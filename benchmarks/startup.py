"""How long does a person wait for the command line? Beside an empty Python and an import of Typer.

    python -m benchmarks.startup [--quick]

Prints seconds, the median of several runs, of `farm --help`, of `python -c pass` and of `python -c "import typer"`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "farm --help": [sys.executable, "-m", "farm.app", "--help"],
    "farm submit infer --help": [sys.executable, "-m", "farm.app", "submit", "infer", "--help"],
    "import typer (the limit)": [sys.executable, "-c", "import typer"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 runs instead of 15")
    runs = 3 if parser.parse_args().quick else 15
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - began)
    limit = statistics.median(times["import typer (the limit)"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:28} {median:6.3f} s   {median / limit:5.2f} x the limit   (n={runs})")


if __name__ == "__main__":
    main()
