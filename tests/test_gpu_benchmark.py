"""The benchmark for GPUs: all of it runs on a CPU, tiny, so that no lent GPU is spent on a mistake in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Neither decoding nor stores: a machine with a GPU may have torch alone.
SCRIPT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("av", "zarr", "ray", "typer"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from benchmarks.gpu import main
sys.argv = ["gpu", "--device", "cpu", "--quick"]
sys.exit(main())
"""


def test_every_question_is_answered_without_a_gpu_or_said_to_miss_a_package():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for figure in (
        "matrix rate",
        "paper, 1 thread: ours : plain loop",
        "paper: training, frames/s",
        "inference, tiny network",
        "error of fp16, mean over frames",
        "fast : paper, error",
        "paper: training whole",
    ):
        assert f'@ {{"name": "{figure}"' in done.stdout
    assert "passed over: No module named 'av'" in done.stdout
    assert "again                    last loss" in done.stdout
