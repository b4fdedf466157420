"""Exit codes: what `farm` tells a script."""

from __future__ import annotations

from facecap_core.errors import (
    ConfigError,
    FacecapError,
    FootageError,
    LandmarksError,
    ModelError,
    PointCacheError,
    ProductionError,
    TemplateError,
)
from jobs.errors import JobNotFound, NoSuchResources

OK = 0
INTERNAL = 1
USAGE = 2
JOB_FAILED = 100
NOT_FINISHED = 101
NOT_FOUND = 102
CANCELLED = 103

# What was typed, or a file of the user's own, is at fault: neither we nor the cluster.
OF_THE_USER = (
    ConfigError,
    FootageError,
    LandmarksError,
    ModelError,
    NoSuchResources,
    PointCacheError,
    ProductionError,
    TemplateError,
)

OF_JOB_STATE = {
    "done": OK,
    "failed": JOB_FAILED,
    "cancelled": CANCELLED,
    "queued": NOT_FINISHED,
    "running": NOT_FINISHED,
    "interrupted": NOT_FINISHED,
}


def of_error(error: FacecapError) -> int:
    """The code that an error ends the command with."""
    if isinstance(error, JobNotFound):
        return NOT_FOUND
    if isinstance(error, OF_THE_USER):
        return USAGE
    return INTERNAL
