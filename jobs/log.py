"""Log: lines with their time, appended to a file of the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from facecap_core.files import store_error


class Log:
    """A log file, opened for each line: nothing is lost with the process, and no file is kept open."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def line(self, text: str) -> None:
        """Append text; further lines of it are indented.

        Raises:
            StoreError: the file cannot be written.
        """
        self.lines([text])

    def lines(self, texts: Sequence[str]) -> None:
        """Append several texts at once, each as `line` does: a network file system is asked once.

        Raises:
            StoreError: the file cannot be written.
        """
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        bodies = [text.rstrip().replace("\n", "\n    ") for text in texts]
        whole = "".join(f"{stamp}  {body}\n" for body in bodies)
        try:
            try:
                self._append(whole)
            except FileNotFoundError:  # of a vanished store no folder comes back
                self.path.parent.mkdir(exist_ok=True)
                self._append(whole)
        except OSError as error:
            raise store_error(error, self.path) from error

    def _append(self, whole: str) -> None:
        with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(whole)
