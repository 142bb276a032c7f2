"""What a file's structure says before a decoder sees it: is it all there, and how often would it be decoded?

Completeness is for the two formats whose decoder does not ask: it stops reading at the last pixel it needs. JPEG, WebP
and AVIF decoders refuse a file cut anywhere by themselves. Data after the end of a picture is no damage (phones append
previews and short films to their photographs); it never reaches the output.
"""

import re
import zlib
from typing import BinaryIO

# A marker with a meaning here (ITU-T T.81, B.1.1.2): no stuffed byte, no fill byte, none that stands alone but the end.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")


class Damaged(Exception):  # noqa: N818 - a finding about the file, not a failure of ours
    """The file ends early or a checksum is wrong; the text says which."""


def check_png(file: BinaryIO) -> None:
    """Every chunk up to IEND is complete and has its checksum (PNG third edition, 5.3). Raises Damaged."""
    file.seek(8)
    kind = b""
    while kind != b"IEND":
        length, kind = int.from_bytes(_read(file, 4), "big"), _read(file, 4)
        checksum = zlib.crc32(_read(file, length), zlib.crc32(kind))
        if checksum != int.from_bytes(_read(file, 4), "big"):
            raise Damaged("a checksum is wrong")


def gif_frames(file: BinaryIO, at_most: int) -> int:
    """The number of frames, counting no further than one past `at_most`. Raises Damaged (GIF89a, appendix B)."""
    file.seek(10)
    _skip_colours(file, _read(file, 3)[0])
    frames = 0
    while frames <= at_most:
        match _read(file, 1):
            case b"\x3b":  # trailer
                return frames
            case b"\x21":  # extension: a label, then blocks
                _read(file, 1)
                _skip_blocks(file)
            case b"\x2c":  # image: position and size, colours, code size, then blocks
                _skip_colours(file, _read(file, 9)[8])
                _read(file, 1)
                _skip_blocks(file)
                frames += 1
            case b"\x00":  # a stray terminator, which many writers leave
                pass
            case _:
                raise Damaged("an unknown block")
    return frames


def jpeg_scans(file: BinaryIO, at_most: int) -> int:
    """The number of scans up to the end of the picture, counting no further than one past `at_most`.

    Goes from marker to marker as the decoder does, so bytes inside a segment or behind the picture count for nothing.
    """
    file.seek(0)
    data, at, scans = file.read(), 2, 0
    while scans <= at_most and (marker := _MARKER.search(data, at)) and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        at = marker.end() + max(2, int.from_bytes(data[marker.end() : marker.end() + 2], "big"))
    return scans


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        _read(file, 3 << ((flags & 7) + 1))


def _skip_blocks(file: BinaryIO) -> None:
    while length := _read(file, 1)[0]:
        _read(file, length)


def _read(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise Damaged("it ends early")
    return data
