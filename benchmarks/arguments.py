"""Arguments: what the command lines of benchmarks have in common."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose --help shows the script's docstring as it is written."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def production_arguments(doc: str | None) -> argparse.ArgumentParser:
    """The same for a script about one actor of a production; `--actor` is None where it was not given."""
    parser = arguments(doc)
    parser.add_argument("production", type=Path)
    parser.add_argument("--actor", help="else the first")
    return parser
