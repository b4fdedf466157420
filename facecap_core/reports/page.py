"""Page: an HTML file that needs no other, made of a template and what it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import torch

from facecap_core.files import write_text_atomically
from facecap_core.provenance import made
from facecap_core.reports.wording import date, figure, mm


@dataclass(frozen=True)
class Card:
    """A headline figure."""

    figure: str
    unit: str
    what: str


def write_page(destination: Path, template: str, shown: Mapping[str, Any]) -> int:
    """Write the page and return its size in bytes.

    Raises:
        StoreError: it cannot be written.
    """
    now: dict[str, Any] = made()
    told = {
        "written": date(str(now["date"])),
        "version": now["versions"].get("facecap-farm", ""),
        **shown,
    }
    text = _environment().get_template(template).render(told)
    write_text_atomically(destination, text)
    return len(text.encode())


@contextmanager
def one_thread() -> Iterator[None]:
    """Drawing is many small steps, which several threads only hold up, on a busy machine sixfold."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _environment() -> jinja2.Environment:
    folder = resources.files("facecap_core.reports")
    pages = {
        page.name: page.read_text("utf-8")
        for page in folder.iterdir()
        if page.name.endswith(".html")
    }
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(pages),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mm"] = mm
    environment.filters["figure"] = figure
    return environment
