"""Image sequence: a shot as numbered files, named by a pattern such as `shot.%04d.png`."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error

from facecap_core.errors import FootageEmpty, FootageError, FootageMissing, FootageUnreadable
from facecap_core.footage.picture import MAX_PIXELS, check_size
from facecap_core.footage.video_file import TimedPicture, reason_of

_NUMBER = re.compile(r"%(?:0(\d{1,2}))?d")
_RENDER_AGAIN = "render the picture again"
# Others refuse damage anyway, or good files as well (TIFF, for tags in an odd order).
_STRICTNESS = {"mjpeg": "explode", "png": "crccheck+explode"}
_MAX_FILE_BYTES = 2**31  # more than any picture of the largest size that is accepted
# Where the header of a DPX says what its levels mean: 1 is printing density, 3 logarithmic.
_DPX_TRANSFER, _DPX_LOGARITHMIC = 801, (b"\1", b"\3")
_CODECS = {
    ".bmp": "bmp",
    ".dpx": "dpx",
    ".exr": "exr",
    ".jp2": "jpeg2000",
    ".jpeg": "mjpeg",
    ".jpg": "mjpeg",
    ".png": "png",
    ".tga": "targa",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
}


def is_pattern(path: str | Path) -> bool:
    """Whether the file name has a place for a number (`%04d`)."""
    return _NUMBER.search(Path(path).name) is not None


def pattern_of(name: str) -> str | None:
    """The pattern of a numbered picture's file name (`shot.1001.png`: `shot.%04d.png`); None where it is none."""
    match = re.fullmatch(r"([^%]*?)([0-9]{1,18})(\.[^.%]+)", name)
    if match is None or match[3].lower() not in _CODECS:
        return None
    digits = len(match[2])
    return f"{match[1]}%{f'0{digits}' if digits > 1 else ''}d{match[3]}"


@dataclass(frozen=True)
class ImageSequence:
    """The files of a shot, in order and without gaps."""

    pattern: Path
    files: tuple[Path, ...]
    first_number: int

    @property
    def codec(self) -> str:
        """The name of the decoder."""
        return _CODECS[self.pattern.suffix.lower()]

    def pictures(self, threads: int = 1, first: int = 0) -> Generator[TimedPicture, None, None]:
        """Decode file by file, from the `first` on; an error names the file. Raises FootageError of several kinds."""
        for file in self.files[first:]:
            yield TimedPicture(_decode(file, self._decoder(threads)), None)

    @property
    def logarithmic(self) -> bool:
        """Whether the first picture is a DPX that calls its levels printing density or logarithmic, of which
        decoders say nothing."""
        if self.codec != "dpx":
            return False
        with self.files[0].open("rb") as file:
            file.seek(_DPX_TRANSFER)
            return file.read(1) in _DPX_LOGARITHMIC

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width to height of the first picture's pixels, as its file says it. Raises FootageError."""
        decoder = self._decoder(1)
        _decode(self.files[0], decoder)
        return decoder.sample_aspect_ratio

    def _decoder(self, threads: int) -> av.VideoCodecContext:
        context = av.CodecContext.create(self.codec, "r")
        assert isinstance(context, av.VideoCodecContext)
        context.thread_count = threads
        context.thread_type = "SLICE"  # one picture in, one picture out
        context.options = {
            "max_pixels": str(MAX_PIXELS),
            "err_detect": _STRICTNESS.get(self.codec, "crccheck"),
        }
        return context


def refuse_one_picture(path: Path) -> None:
    """Of a sequence one file is named now and then, which is a shot of one frame to a decoder.

    Raises:
        FootageUnreadable: it is a picture.
    """
    if path.suffix.lower() in _CODECS and path.is_file():
        name = pattern_of(path.name) or f"shot.%04d{path.suffix}"
        raise FootageUnreadable(
            "this is one picture, no video", remedy=f"name the image sequence: {name}", file=path
        )


def find_image_sequence(pattern: str | Path) -> ImageSequence:
    """List the files of a pattern, from the lowest number on.

    Raises FootageMissing (no such file), FootageError (a gap, two files of one number, two
    numbers in the name) and FootageUnreadable (unknown kind of image).
    """
    pattern = Path(pattern)
    numbers = list(_NUMBER.finditer(pattern.name))
    if len(numbers) != 1 or "%" in _NUMBER.sub("", pattern.name):
        raise FootageError(
            "the file name must have one place for the number",
            remedy="name an image sequence like shot.%04d.png",
            file=pattern,
        )
    if pattern.suffix.lower() not in _CODECS:
        raise FootageUnreadable(
            f"image sequences of kind '{pattern.suffix}' are not known",
            remedy=f"known are {', '.join(sorted(_CODECS))}",
            file=pattern,
        )
    before = pattern.name[: numbers[0].start()]
    after = pattern.name[numbers[0].end() :]
    digits = int(numbers[0].group(1) or 1)
    found = _list_numbers(pattern, before, after, digits)
    if not found:
        raise FootageMissing(
            "no file has a name of this pattern",
            remedy="correct the path in shots.csv",
            file=pattern,
        )
    first = min(found)
    for number in range(first, first + len(found)):
        if number not in found:
            name = f"{before}{number:0{digits}d}{after}"
            raise FootageError(
                f"{name} is missing: {len(found)} files are numbered {first} to {max(found)}",
                remedy="render the missing pictures, or number the files without gaps",
                file=pattern.parent / name,
            )
    return ImageSequence(pattern, tuple(found[number] for number in sorted(found)), first)


def _list_numbers(pattern: Path, before: str, after: str, digits: int) -> dict[int, Path]:
    if not pattern.parent.is_dir():
        raise FootageMissing(
            f"there is no folder {pattern.parent}",
            remedy="correct the path in shots.csv",
            file=pattern,
        )
    name = re.compile(re.escape(before) + r"([0-9]{1,18})" + re.escape(after))
    found: dict[int, Path] = {}
    for file in pattern.parent.iterdir():
        match = name.fullmatch(file.name)
        # printf pads to a width and never cuts: 00012 is not of the pattern %04d.
        if match and match[1] == f"{int(match[1]):0{digits}d}" and file.is_file():
            found[int(match[1])] = file
    return found


def _decode(file: Path, decoder: av.VideoCodecContext) -> av.VideoFrame:
    """Its picture; a decoder takes one file only: PNG's would take the second for a difference to the first."""
    size = file.stat().st_size
    if size == 0:
        raise FootageEmpty("the file is empty", remedy=_RENDER_AGAIN, file=file)
    if size > _MAX_FILE_BYTES:
        raise FootageUnreadable(
            f"the picture has {size} bytes", remedy="store pictures of at most 2 GiB", file=file
        )
    try:
        frames = decoder.decode(av.Packet(file.read_bytes()))
    except (av.error.FFmpegError, OSError) as error:
        raise FootageUnreadable(
            f"the picture does not decode ({reason_of(error)})", remedy=_RENDER_AGAIN, file=file
        ) from error
    if len(frames) != 1:
        raise FootageUnreadable(
            f"the file has {len(frames)} pictures", remedy="render one picture a file", file=file
        )
    check_size(frames[0].width, frames[0].height, file)
    return frames[0]
