"""Entry: `python -m jobs.entry JOB_FOLDER`, what Ray starts for a submitted job."""

from __future__ import annotations

import sys
from pathlib import Path

from facecap_core.errors import FacecapError
from jobs.driver import JobDriver
from jobs.ledger import Ledger


def main() -> int:
    """Drive the job of the folder; 0 when every shot was solved, 1 when not."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m jobs.entry JOB_FOLDER\n")
        return 2
    try:
        return 0 if JobDriver(Ledger(Path(sys.argv[1]))).run() else 1
    except FacecapError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
