"""Key picture: where decoding can begin anew with the pictures that decoding from the start gives.

H.264 begins anew at an IDR picture (ITU-T H.264, 7.4.1.2.4), HEVC also at a CRA picture, from whose
leading pictures on, shown before it and sent after it, the ones before are needed (ITU-T H.265, 3.28
and 8.1.3). Other pictures that containers call key pictures do not promise as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av

_INTRA_ONLY = frozenset({"prores", "dnxhd", "mjpeg"})  # each picture is coded by itself
_H264_IDR = 5
_HEVC_IDR = frozenset({19, 20})
_HEVC_CRA = 21


@dataclass(frozen=True)
class KeyPicture:
    """A key picture's time stamp, and whether pictures sent after it need ones before it."""

    pts: int
    seek_ticks: int  # forward from here a seek finds it
    open: bool = False


@dataclass(frozen=True)
class Segment:
    """Successive pictures from a key picture up to another; None: from the start, to the end."""

    start: KeyPicture | None = None
    end: KeyPicture | None = None

    def holds(self, pts: int | None) -> bool:
        """Whether a picture that is decoded here belongs here; open key pictures overlap."""
        if pts is None:
            return True
        before = self.start is not None and self.start.open and pts < self.start.pts
        return not (before or (self.end is not None and self.end.open and pts >= self.end.pts))


WHOLE = Segment()


def key_picture(
    packet: av.Packet, codec: str, extradata: bytes | None, seek_ticks: int
) -> KeyPicture | None:
    """The key picture of a packet; None: decoding cannot begin here, or that cannot be told."""
    if packet.pts is None or not packet.is_keyframe:
        return None
    if codec in _INTRA_ONLY:
        return KeyPicture(packet.pts, seek_ticks)
    # Units with their lengths before them, as MP4, MOV and Matroska keep them.
    if not extradata or extradata[0] != 1:
        return None
    if codec == "h264" and len(extradata) > 4:
        kinds = {unit[0] & 31 for unit in _units(bytes(packet), (extradata[4] & 3) + 1)}
        return KeyPicture(packet.pts, seek_ticks) if _H264_IDR in kinds else None
    if codec == "hevc" and len(extradata) > 21:
        kinds = {unit[0] >> 1 & 63 for unit in _units(bytes(packet), (extradata[21] & 3) + 1)}
        if kinds & _HEVC_IDR:
            return KeyPicture(packet.pts, seek_ticks)
        return KeyPicture(packet.pts, seek_ticks, open=True) if _HEVC_CRA in kinds else None
    return None


def _units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """The first byte of each unit."""
    position = 0
    while position + length_bytes < len(data):
        length = int.from_bytes(data[position : position + length_bytes], "big")
        position += length_bytes
        yield data[position : position + 1]
        position += length
