"""Every command of `farm`, for tests that go through all of them."""

from __future__ import annotations

import typer

from farm.app import app


def commands(group=None, path=()):
    """Every command with its path."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command
