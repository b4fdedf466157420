"""Log: lines with their time, appended to a file of the ledger."""

from __future__ import annotations

import time
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
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        body = text.rstrip().replace("\n", "\n    ")
        try:
            self.path.parent.mkdir(exist_ok=True)  # of a vanished store none comes back
            with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"{stamp}  {body}\n")
        except OSError as error:
            raise store_error(error, self.path) from error
