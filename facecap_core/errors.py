"""Errors: everything that a user can mend, each with the place and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facecap_core.stores.object_folder import ObjectFolder


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, where, and what to do about it."""

    message: str
    remedy: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line else "")
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} -> {self.remedy}" if self.remedy else text


class FacecapError(Exception):
    """Base of all errors that are shown to the user without a traceback."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        file: str | Path | ObjectFolder = "",
        line: int | None = None,
    ) -> None:
        self.fault = Fault(message, remedy, str(file), line)
        super().__init__(str(self.fault))

    def __reduce__(self) -> tuple[object, ...]:
        # An exception with keyword-only arguments does not survive the way between processes otherwise.
        return (_rebuild, (type(self), self.fault))


def _rebuild(kind: type[FacecapError], fault: Fault) -> FacecapError:
    error = kind.__new__(kind)
    FacecapError.__init__(
        error, fault.message, remedy=fault.remedy, file=fault.file, line=fault.line
    )
    return error


class ProductionError(FacecapError, ValueError):
    """production.toml or shots.csv cannot be used; carries every fault that was found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = list(faults)
        Exception.__init__(self, "\n".join(str(fault) for fault in self.faults))
        self.fault = self.faults[0] if self.faults else Fault("unknown fault")

    def __reduce__(self) -> tuple[object, ...]:
        return (ProductionError, (self.faults,))


class FootageError(FacecapError, ValueError):
    """A video or an image sequence cannot be used as it is."""


class FootageMissing(FootageError, FileNotFoundError):
    """There is no such file."""


class FootageUnreadable(FootageError):
    """No picture can be decoded: not a video, damaged, or an unknown codec."""


class FootageEmpty(FootageError):
    """The file has no pictures."""


class FootageTruncated(FootageError):
    """The file ends, or its pictures end, before its header says."""


class FrameRateError(FootageError):
    """Variable frame rate, or another rate than the production's."""


class CropOutsidePicture(FootageError):
    """The crop rectangle does not lie within the picture."""


class PictureSizeError(FootageError):
    """The picture has another size than the footage the actor was trained on."""


class LandmarksError(FacecapError, ValueError):
    """Landmarks are absent, damaged, or not those of the footage, or cannot be found in it."""


class PointCacheError(FacecapError, ValueError):
    """A point cache is damaged, or does not fit the template or the footage."""


class TemplateError(FacecapError, ValueError):
    """The template mesh cannot be used."""


class StoreError(FacecapError, OSError):
    """An array in the store is absent, incomplete, damaged, or made by another version.

    `transient` is set where the same work later may well succeed.
    """

    transient = False


class ModelError(FacecapError, ValueError):
    """A model is absent, damaged, or does not fit the actor."""


class ConfigError(FacecapError, ValueError):
    """A setting is unknown or out of range."""


class TrainingError(FacecapError, RuntimeError):
    """Training cannot start or go on."""


class Cancelled(FacecapError):
    """The caller asked for an end."""
