"""Errors of jobs, beside those of the core."""

from __future__ import annotations

from facecap_core.errors import FacecapError


class JobNotFound(FacecapError, LookupError):
    """No job (or shot of a job) has this name, or more than one begins with it."""


class WorkerLost(FacecapError, RuntimeError):
    """A process that helped with a task died."""


class MachineLost(WorkerLost):
    """A machine that helped with a task died."""


class NoSuchResources(FacecapError, ValueError):
    """The cluster has no machine that could ever run the task."""
