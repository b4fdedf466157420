"""Settings: what production.toml says, each fault with its line and remedy."""

from __future__ import annotations

import math
import re
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from facecap_core.errors import Fault
from facecap_core.names import NAME_RULE, did_you_mean, is_name, is_path, nearest, shown
from facecap_core.productions.toml_lines import line_of
from facecap_core.productions.written_text import read_written
from facecap_core.stores.object_folder import ObjectFolder
from facecap_core.units import UNITS, Units

SHOT_COLUMNS = ("shot", "actor", "category", "split", "cache")
"""Columns of shots.csv that are not cameras, so no camera may be called like one."""

_EXAMPLES = {
    "name": 'name = "quantum"',
    "fps": 'fps = "30" or "24000/1001", "25", "30000/1001"',
    "units": f"units is one of {', '.join(UNITS)}",
    "store": 'store = "store"',
    "arrays": 'arrays = "s3://bucket/prefix", or leave it out to keep the arrays in store',
    "actors": "add a table [actors.NAME] with its template and cameras",
    "template": 'template = "actors/NAME/template.obj"',
    "animated": 'animated = "actors/NAME/animated.txt", or leave it out',
    "regions": 'regions = "actors/NAME/regions.json" (farm regions writes one), or leave it out',
    "cameras": "add a table [actors.NAME.cameras.center] with its crop",
    "crop": "crop = [x, y, width, height], whole source pixels, for example [120, 160, 960, 1280]",
    "landmarks": 'landmarks = "dlib" or "landmarks/{shot}.npy", or leave it out',
}

DLIB = "dlib"
LANDMARK_FILES = (".npy", ".csv")
PREDICTOR_FILE = ".dat"

LARGEST_BYTES = 2**20  # room for ten thousand cameras
MOST_DOTS = 200
MOST_FAULTS = 100

_RATIO = re.compile(r"(\d{1,7})\s*/\s*(\d{1,7})", re.ASCII)
_DECIMAL = re.compile(r"\d{1,7}(\.\d{1,9})?", re.ASCII)
_NTSC = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 72, 90, 96, 120, 240))


def parse_fps(value: object) -> Fraction:
    """Frames per second, exactly: of "30", 30, "30000/1001", and "29.97" as the NTSC rate it names.

    Raises ValueError when it is no rate, or not between 1 and 1000.
    """
    text = value.strip() if isinstance(value, str) else str(value)
    ratio = _RATIO.fullmatch(text)
    if isinstance(value, bool) or not (ratio or _DECIMAL.fullmatch(text)):
        raise ValueError(f"{shown(text)} is not a frame rate")
    if ratio:
        if int(ratio[2]) == 0:
            raise ValueError(f"{shown(text)} divides by zero")
        fps = Fraction(int(ratio[1]), int(ratio[2]))
    else:
        fps = Fraction(text)
        if fps.denominator != 1:
            # 29.97 and 23.98 are everyday roundings of rates that no decimal can say.
            fps = next((exact for exact in _NTSC if math.isclose(exact, fps, abs_tol=0.007)), fps)
    if not 1 <= fps <= 1000:
        raise ValueError(f"{shown(text)} frames per second is outside 1 to 1000")
    return fps


def rates_agree(one: Fraction, other: Fraction) -> bool:
    """Whether two rates are the same but for rounding in a file's header; 30 and 29.97 are not."""
    return abs(one / other - 1) < Fraction(1, 1500)


def _fps(value: object) -> Fraction:
    try:
        return parse_fps(value)
    except ValueError as error:
        raise PydanticCustomError("fps", "{text}", {"text": str(error)}) from None


def _name(value: str) -> str:
    if not is_name(value):
        raise PydanticCustomError(
            "name", "{text} cannot be a name", {"text": shown(value), "remedy": NAME_RULE}
        )
    return value


def _camera_name(value: str) -> str:
    if value.casefold() in SHOT_COLUMNS:
        raise PydanticCustomError(
            "name",
            "{text} cannot be a camera's name",
            {"text": shown(value), "remedy": "shots.csv uses that word for another column"},
        )
    return _name(value)


def _text(value: str) -> str:
    if not value.strip() or not is_path(value):
        text = f"{shown(value)} is empty, unprintable or too long"
        raise PydanticCustomError("text", "{text}", {"text": text})
    return value


def _arrays(value: str) -> str:
    try:
        return str(ObjectFolder.parse(value))
    except ValueError as error:
        text = f"{shown(value)}: {error}"
        raise PydanticCustomError("arrays", "{text}", {"text": text}) from None


def _landmarks(value: str) -> str:
    rest = value.replace("{shot}", "")
    of_a_shot = value.lower().endswith(LANDMARK_FILES) and rest != value
    of_all = value == DLIB or (value.lower().endswith(PREDICTOR_FILE) and rest == value)
    if not (of_a_shot or of_all) or set(rest) & set("{}"):
        text = f"{shown(value)} is neither dlib nor a file for each {{shot}}"
        raise PydanticCustomError("landmarks", "{text}", {"text": text})
    return _text(value)


Name = Annotated[str, AfterValidator(_name)]
CameraName = Annotated[str, AfterValidator(_camera_name)]
Text = Annotated[str, Field(max_length=1000), AfterValidator(_text)]
Arrays = Annotated[str, Field(max_length=1000), AfterValidator(_arrays)]
LandmarksText = Annotated[str, Field(max_length=1000), AfterValidator(_landmarks)]
Offset = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Length = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class CameraSettings(_Table):
    """A camera of an actor.

    `crop` is x, y, width, height in source pixels, after rotation. `landmarks`, for stabilised pictures,
    is "dlib", a predictor for dlib (.dat), or a file of points for each shot (.npy or .csv).
    """

    crop: tuple[Offset, Offset, Length, Length]
    landmarks: LandmarksText | None = None

    def landmark_path(self, shot: str) -> Path | None:
        """The file that `landmarks` names for a shot; None for "dlib", whose model is packaged."""
        if self.landmarks in (None, DLIB):
            return None
        return Path(str(self.landmarks).replace("{shot}", shot))


class ActorSettings(_Table):
    """The table [actors.NAME] as written: paths are not yet resolved."""

    template: Text
    animated: Text | None = None
    regions: Text | None = None
    cameras: Annotated[dict[CameraName, CameraSettings], Field(min_length=1)]


class Settings(_Table):
    """The whole production.toml as written: paths are not yet resolved."""

    name: Text
    fps: Annotated[Fraction, BeforeValidator(_fps)]
    units: Units
    store: Text = "store"
    arrays: Arrays | None = None
    actors: Annotated[dict[Name, ActorSettings], Field(min_length=1)]


def read_settings(path: Path) -> tuple[Settings | None, dict[str, Any] | None, list[Fault]]:
    """The settings, the plain tables (None where it is no TOML), and everything wrong with them.

    The settings are None when there is a fault. Nothing is raised for what the file says.
    """
    text, faults = read_written(path, remedy="save it as UTF-8", utf16=False, largest=LARGEST_BYTES)
    if text is None:
        return None, None, faults
    return parse_settings(text, path)


def parse_settings(
    text: str, path: Path
) -> tuple[Settings | None, dict[str, Any] | None, list[Fault]]:
    """As `read_settings`, of text that `path` holds or is going to hold."""
    for number, line in enumerate(text.splitlines(), 1):
        # The time that TOML takes grows with the square of the dots of a key.
        if line.count(".") > MOST_DOTS and not line.lstrip().startswith("#"):
            message = f"more than {MOST_DOTS} dots in a line"
            return None, None, [Fault(message, "write [actors.NAME]", str(path), number)]
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, None, [_syntax_fault(error, text, path)]
    except (RecursionError, ValueError) as error:
        return None, None, [Fault(f"is not usable TOML: {error}", "simplify it", str(path))]
    try:
        return Settings.model_validate(tables), tables, []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, tables, _faults(details, tables, text, path)


def _syntax_fault(error: tomllib.TOMLDecodeError, text: str, path: Path) -> Fault:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    message = str(error)[: place.start()] if place else str(error)
    line = int(place[1]) if place and place[1] else max(1, len(text.splitlines()))
    remedy = 'mend the TOML here: text stands in "quotes", tables in [brackets]'
    return Fault(f"is not valid TOML: {message}", remedy, str(path), line)


def _faults(
    details: list[ErrorDetails], tables: dict[str, Any], text: str, path: Path
) -> list[Fault]:
    faults = []
    misspelt = {
        (*error["loc"][:-1], nearest(str(error["loc"][-1]), _valid_keys(error["loc"])))
        for error in details[:MOST_FAULTS]
        if error["type"] == "extra_forbidden"
    }
    for error in details[:MOST_FAULTS]:
        loc = tuple(part for part in error["loc"] if part != "[key]")
        if error["type"] == "missing" and loc in misspelt:
            continue  # The misspelt key is reported already, and is the cause of this.
        keys = [part for part in loc if isinstance(part, str)]
        if keys != list(loc):
            # Of a crop's numbers several may be wrong, but the whole crop is what to mend.
            message = f"{'.'.join(keys)} = {_value(tables, keys)} is no rectangle of whole pixels"
            remedy = _EXAMPLES["crop"]
        else:
            message, remedy = _explain(error, keys)
        faults.append(Fault(message, remedy, str(path), line_of(text, keys)))
    told = sorted(set(faults), key=lambda fault: (fault.line or 0, fault.message))
    if (more := len(details) - MOST_FAULTS) > 0:
        told.append(Fault(f"{more} more faults", "mend those above first", str(path)))
    return told


def _value(tables: dict[str, Any], keys: list[str]) -> object:
    value: Any = tables
    for key in keys:
        value = value[key]
    return value


def _valid_keys(loc: tuple[int | str, ...]) -> list[str]:
    models: dict[int, type[BaseModel]] = {1: Settings, 3: ActorSettings}
    return list(models.get(len(loc), CameraSettings).model_fields)


def _explain(error: ErrorDetails, keys: list[str]) -> tuple[str, str]:
    dotted, last = ".".join(keys), keys[-1] if keys else ""
    remedy = str(error.get("ctx", {}).get("remedy", _EXAMPLES.get(last, "")))
    match error["type"]:
        case "extra_forbidden":
            valid = _valid_keys(error["loc"])
            return f"unknown key {dotted}", did_you_mean(last, valid)
        case "missing":
            return f"{dotted} is missing", remedy
        case "name" | "text" | "fps" | "arrays" | "landmarks":
            return f"{dotted}: {error['msg']}", remedy
        case "too_short" if last in ("actors", "cameras"):
            return f"{dotted} is empty", remedy
        case "model_type" | "dict_type":
            return f"{dotted} is no table", f"begin it with [{dotted}], in single brackets"
    if last == "units" and isinstance(error["input"], str):
        return f"unknown units {shown(error['input'])}", remedy
    return f"{dotted} = {shown(str(error['input']), 40)}: {error['msg']}", remedy
