"""What the head of an image file looks like. Each check reads a little of the header, so that a mark alone, as programs
that tell files apart hold it, is no image.

Sources: the definition of each format; where that is not public, libmagic's and Pillow's readers.
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_BYTES = 1024
"""So much of a file is looked at; a few checks follow an offset further."""

Bytes = bytes | memoryview
Check = Callable[[bytes, Bytes, int], bool]
"""The first WINDOW_BYTES of what may be a file, all data, and where in it the file would begin."""


@dataclass(frozen=True, slots=True)
class Format:
    kind: str
    mark: bytes
    at: int
    """Where in the file the mark is."""
    check: Check
    anywhere: bool = True
    """The mark and the check are strong enough for any offset of any data; else only where an object begins."""


def _always(head: bytes, data: Bytes, start: int) -> bool:
    return True


def _png(head: bytes, data: Bytes, start: int) -> bool:
    return head[12:16] in (b"IHDR", b"CgBI", b"MHDR", b"JHDR")


def _png_without_signature(head: bytes, data: Bytes, start: int) -> bool:
    return len(head) >= 25 and zlib.crc32(head[4:21]) == int.from_bytes(head[21:25], "big")


_JPEG_MARKERS = frozenset([*range(0xC0, 0xD0), *range(0xDB, 0xF0), 0xFE]) - {0xC8}
_JPEG_NAMES = (b"JFIF\0", b"Exif\0", b"ICC_PROFILE\0", b"Adobe", b"http:", b"MPF\0", b"Photoshop ", b"JFXX\0")


def _jpeg(head: bytes, data: Bytes, start: int) -> bool:
    """Two segments in a row, or one that says its name."""
    if head[6:16].startswith(_JPEG_NAMES) and 0xE0 <= head[3] <= 0xEF:
        return True
    at = start + 2
    for _ in range(3):
        segment = bytes(data[at : at + 4])
        if len(segment) < 4 or segment[0] != 0xFF or segment[1] not in _JPEG_MARKERS:
            return False
        at += 2 + int.from_bytes(segment[2:], "big")
    return True


def _jpeg_frame(head: bytes, data: Bytes, start: int) -> bool:
    """A start of frame, whatever was cut off before it: 8 bits, a size, each component with its sampling and table."""
    length, height, width = struct.unpack_from(">2xHxHH", head.ljust(16, b"\0"))
    parts = head[9:10]
    if head[:1] != b"\xff" or not parts or length != 8 + 3 * parts[0] or not (width >= 8 and height >= 8):
        return False
    rows = [head[10 + 3 * n : 13 + 3 * n] for n in range(parts[0])]
    return parts[0] in (1, 3, 4) and all(
        len(row) == 3 and row[0] < 5 and row[1] in (0x11, 0x12, 0x21, 0x22, 0x41, 0x14) and row[2] < 4 for row in rows
    )


def _gif(head: bytes, data: Bytes, start: int) -> bool:
    if len(head) < 16 or head[4] not in b"79" or head[5:6] != b"a":
        return False
    width, height, flags = struct.unpack_from("<HHB", head, 6)
    first = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    block = head[first : first + 10]
    if not width or not height or len(block) < 2:
        return False
    if block[0] == 0x21:
        return block[1] in (0xF9, 0xFE, 0xFF, 0x01)
    if block[0] != 0x2C or len(block) < 10:
        return False
    left, top, wide, high = struct.unpack_from("<HHHH", block, 1)
    return bool(0 < wide <= width - left and 0 < high <= height - top)


def _webp(head: bytes, data: Bytes, start: int) -> bool:
    return head[:4] == b"RIFF" and head[15:16] in b" LX"


def _bmp(head: bytes, data: Bytes, start: int) -> bool:
    if len(head) < 30 or head[:2] != b"BM":
        return False
    reserved, pixels, header = struct.unpack_from("<III", head, 6)
    planes, bits = struct.unpack_from("<HH", head, 22 if header == 12 else 26)
    known = header in (12, 16, *_DIB_BYTES)
    return bool(known and not reserved and 14 + header <= pixels < 5000 and planes == 1 and bits in _DEPTHS)


def _dib(head: bytes, data: Bytes, start: int) -> bool:
    """The header of a bitmap, which in an icon or on a clipboard has no file's header before it."""
    header, width, height = struct.unpack_from("<Iii", head.ljust(12, b"\0"))
    return header in _DIB_BYTES and 8 <= width <= 65535 and 8 <= abs(height) <= 65535


_DIB_BYTES = (40, 52, 56, 64, 108, 124)
_DEPTHS = (0, 1, 2, 4, 8, 15, 16, 24, 32)


def _tiff(head: bytes, data: Bytes, start: int) -> bool:
    """The first directory is in the data: tags ascend, and their types are known."""
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if len(head) < 16:
        return False
    where = struct.unpack_from(order + "Q", head, 8)[0] if big else struct.unpack_from(order + "I", head, 4)[0]
    wide = 20 if big else 12
    first = start + where + (8 if big else 2)
    counted = bytes(data[start + where : first])
    if where < 8 or len(counted) < (8 if big else 2):
        return False
    count = int.from_bytes(counted, "little" if order == "<" else "big")
    entries = bytes(data[first : first + wide * min(count, 8)])
    if not 2 <= count <= 1000 or len(entries) < wide * min(count, 3):
        return False
    pairs = [struct.unpack_from(order + "HH", entries, wide * n) for n in range(len(entries) // wide)]
    tags = [tag for tag, _ in pairs]
    return tags == sorted(tags) and all(1 <= type_ <= 18 for _, type_ in pairs)


_BRANDS = frozenset(
    b"heic heix heim heis hevc hevm hevx hevs mif1 mif2 msf1 avif avis avio crx  jxl  jp2  jpx  jpm  jph  miaf".split()
) | {b"crx ", b"jxl ", b"jp2 ", b"jpx ", b"jpm ", b"jph "}


def _boxes(head: bytes, data: Bytes, start: int) -> bool:
    size = int.from_bytes(head[:4], "big")
    brands = head[8 : min(size, 128)]
    return 12 <= size <= 512 and any(brands[at : at + 4] in _BRANDS for at in range(0, len(brands), 4))


def _j2k(head: bytes, data: Bytes, start: int) -> bool:
    length = int.from_bytes(head[4:6], "big")
    return length >= 41 and (length - 38) % 3 == 0 and length < 2000


def _psd(head: bytes, data: Bytes, start: int) -> bool:
    depth = int.from_bytes(head[22:24], "big")
    return head[4:6] in (b"\0\1", b"\0\2") and not any(head[6:12]) and depth in (1, 8, 16, 32)


_NETPBM = re.compile(rb"P([1-6])(?:\s+#[^\n]*\n)*\s+(\d{1,6})(?:\s+#[^\n]*\n)*\s+(\d{1,6})(?:\s+(\d{1,5}))?\s")
_PFM = re.compile(rb"P[FfH]4?\s+\d{1,6}\s+\d{1,6}\s+-?\d+(\.\d*)?\s")


def _pnm(head: bytes, data: Bytes, start: int) -> bool:
    """Big enough to show something, and as long as it says."""
    if head[1:2] == b"7":
        return b"ENDHDR" in head and b"WIDTH" in head
    if head[1:2] in b"FfH":
        return _PFM.match(head) is not None
    match = _NETPBM.match(head)
    if match is None:
        return False
    width, height = int(match[2]), int(match[3])
    size = {b"1": 1, b"2": 2, b"3": 6, b"4": 1 / 8, b"5": 1, b"6": 3}[match[1]] * width * height
    return width >= 8 and height >= 8 and len(data) - start >= size * 0.9


def _dds(head: bytes, data: Bytes, start: int) -> bool:
    return head[4:8] == b"\x7c\0\0\0"


_TGA_TYPES = (1, 2, 3, 9, 10, 11)


def _tga(head: bytes, data: Bytes, start: int) -> bool:
    """Without a footer: the length says whether it is one."""
    if len(head) < 18 or head[1] > 1 or head[2] not in _TGA_TYPES[:3] or head[16] not in _DEPTHS[4:]:
        return False
    width, height = struct.unpack_from("<HH", head, 12)
    colours, each = struct.unpack_from("<HB", head, 5)
    size = 18 + head[0] + colours * ((each + 7) // 8) + width * height * ((head[16] + 7) // 8)
    return width >= 8 and height >= 8 and len(data) - start in (size, size + 26)


def _data_uri(head: bytes, data: Bytes, start: int) -> bool:
    match = _URI.match(head)
    return match is not None and not match[1].startswith(b"svg")


_URI = re.compile(rb"data:image\\?/([\w.+-]+)(?:;[\w=.-]+)*,(?:[A-Za-z0-9+/=%_\\\-]|\\?\r?\n){64}")


def _icns(head: bytes, data: Bytes, start: int) -> bool:
    return head[8:12].isascii() and head[8:12].strip().isalnum() and 8 < int.from_bytes(head[12:16], "big") < 1 << 26


def _qoi(head: bytes, data: Bytes, start: int) -> bool:
    return len(head) >= 14 and head[12] in (3, 4) and head[13] in (0, 1) and head[4:6] == b"\0\0"


def _exr(head: bytes, data: Bytes, start: int) -> bool:
    return head[4:5] == b"\2" and head[6:8] == b"\0\0"


def _radiance(head: bytes, data: Bytes, start: int) -> bool:
    return b"FORMAT=32-bit_rle" in head


def _fits(head: bytes, data: Bytes, start: int) -> bool:
    naxis = re.search(rb"NAXIS   = +(\d+)", head)
    return naxis is not None and int(naxis[1]) >= 2


def _pcx(head: bytes, data: Bytes, start: int) -> bool:
    if len(head) < 128 or head[1] not in (0, 2, 3, 4, 5) or head[3] not in (1, 2, 4, 8) or head[64]:
        return False
    left, top, right, bottom = struct.unpack_from("<HHHH", head, 4)
    return left < right < 20000 and top < bottom < 20000 and head[65] in (1, 2, 3, 4)


def _sgi(head: bytes, data: Bytes, start: int) -> bool:
    if len(head) < 12 or head[2] > 1 or head[3] not in (1, 2):
        return False
    dimensions, width, height, planes = struct.unpack_from(">HHHH", head, 4)
    return dimensions in (1, 2, 3) and min(width, height) >= 8 and planes in (1, 2, 3, 4)


def _xbm(head: bytes, data: Bytes, start: int) -> bool:
    return re.match(rb"#define\s+\w*width\s+\d+\s+#define\s+\w*height\s+\d+\s[^{]{0,200}\{", head) is not None


def _xpm(head: bytes, data: Bytes, start: int) -> bool:
    return re.search(rb'"\s*\d+\s+\d+\s+\d+\s+\d+', head) is not None


def _pdf(head: bytes, data: Bytes, start: int) -> bool:
    """With a raster image in it: an image's dictionary is never inside a compressed stream (ISO 32000-1, 7.5.7)."""
    return re.search(rb"/Subtype\s*/Image\b", data[start:]) is not None


def _postscript(head: bytes, data: Bytes, start: int) -> bool:
    return re.search(rb"\b(?:color)?image(?:mask)?\s|%%BeginPhotoshop|beginimage", data[start:]) is not None


def _sun(head: bytes, data: Bytes, start: int) -> bool:
    return len(head) >= 32 and int.from_bytes(head[12:16], "big") in (1, 8, 24, 32) and head[20:23] == b"\0\0\0"


def _farbfeld(head: bytes, data: Bytes, start: int) -> bool:
    return head[8:10] == b"\0\0" == head[12:14]


def _ico(head: bytes, data: Bytes, start: int) -> bool:
    """A directory whose first entry points behind it, into the data."""
    if len(head) < 22 or head[2] not in (1, 2):
        return False
    count = int.from_bytes(head[4:6], "little")
    size, offset = struct.unpack_from("<II", head, 14)
    return 1 <= count <= 64 and head[9] == 0 and 6 + 16 * count <= offset and 40 <= size <= len(data) - start - offset


def _jxl(head: bytes, data: Bytes, start: int) -> bool:
    return len(data) - start > 256


def _metafile(head: bytes, data: Bytes, start: int) -> bool:
    return head[40:44] == b" EMF"


def _iff(head: bytes, data: Bytes, start: int) -> bool:
    return head[:4] == b"FORM"


def _digit(head: bytes, data: Bytes, start: int) -> bool:
    return head[4:5] in b"13AQaq" and len(head) > 64


def _netpbm_formats() -> list[Format]:
    return [Format("image/x-portable-anymap", b"P%c%c" % (kind, end), 0, _pnm) for kind in b"4567" for end in b"\n \r"]


FORMATS = (
    Format("image/png", b"\x89PNG\r\n\x1a\n", 0, _png),
    Format("image/png", b"\0\0\0\rIHDR", 0, _png_without_signature),
    Format("video/x-mng", b"\x8aMNG\r\n\x1a\n", 0, _png),
    Format("image/x-jng", b"\x8bJNG\r\n\x1a\n", 0, _png),
    Format("image/jpeg", b"\xff\xd8\xff", 0, _jpeg),
    *(Format("image/jpeg", b"\xff" + bytes([frame]) + b"\0", 0, _jpeg_frame) for frame in (0xC0, 0xC1, 0xC2)),
    Format("image/gif", b"GIF8", 0, _gif),
    Format("image/webp", b"WEBPVP8", 8, _webp),
    *(
        Format("image/bmp", b"\1\0%c\0%c\0\0\0" % (bits, packed), 12, _dib)
        for bits in (4, 8, 16, 24, 32)
        for packed in (0, 3)
    ),
    Format("image/bmp", b"\x3e\0\0\0\x28\0\0\0", 10, _bmp),
    Format("image/bmp", b"BM", 0, _bmp, anywhere=False),
    *(Format("image/tiff", mark, 0, _tiff) for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *(Format("image/x-raw", mark, 0, _tiff) for mark in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0")),
    Format("image/jxr", b"II\xbc\x01", 0, _tiff),
    *(Format("image/x-raw", mark, 0, _always) for mark in (b"FUJIFILMCCD-RAW ", b"HEAPCCDR", b"FOVb\0\0")),
    Format("image/heif", b"ftyp", 4, _boxes),
    Format("image/jp2", b"jP  \r\n\x87\n", 4, _always),
    Format("image/jxl", b"JXL \r\n\x87\n", 4, _always),
    Format("image/j2c", b"\xff\x4f\xff\x51", 0, _j2k),
    Format("image/jxl", b"\xff\x0a", 0, _jxl, anywhere=False),
    Format("image/vnd.adobe.photoshop", b"8BPS\0", 0, _psd),
    *_netpbm_formats(),
    *(
        Format("image/x-portable-anymap", b"P" + kind, 0, _pnm, anywhere=False)
        for kind in (b"1", b"2", b"3", b"F", b"f")
    ),
    Format("image/vnd.ms-dds", b"DDS \x7c", 0, _dds),
    Format("image/x-tga", b"TRUEVISION-XFILE.\0", 0, _always),
    *(
        Format("image/x-tga", bytes([colours, kind]), 1, _tga, anywhere=False)
        for colours in (0, 1)
        for kind in _TGA_TYPES[:3]
    ),
    *(Format("image", b"data:image" + slash, 0, _data_uri) for slash in (b"/", b"\\/")),
    Format("image/icns", b"icns\0", 0, _icns),
    Format("image/qoi", b"qoif", 0, _qoi),
    Format("image/x-exr", b"\x76\x2f\x31\x01", 0, _exr),
    *(Format("image/vnd.radiance", mark, 0, _radiance) for mark in (b"#?RADIANCE", b"#?RGBE")),
    Format("image/fits", b"SIMPLE  = ", 0, _fits),
    *(
        Format("image/x-pcx", b"\x0a%c\x01%c" % (version, bits), 0, _pcx)
        for version in (2, 3, 5)
        for bits in (1, 2, 4, 8)
    ),
    *(Format("image/sgi", b"\x01\xda%c%c\0" % (storage, size), 0, _sgi) for storage in (0, 1) for size in (1, 2)),
    Format("image/x-xbitmap", b"#define ", 0, _xbm),
    Format("image/x-xpixmap", b"/* XPM */", 0, _xpm),
    Format("application/pdf", b"%PDF-", 0, _pdf),
    Format("application/postscript", b"%!PS-Adobe", 0, _postscript),
    Format("application/postscript", b"\xc5\xd0\xd3\xc6", 0, _always),
    *(Format("image/x-icon", b"\0\0%c\0" % kind, 0, _ico, anywhere=False) for kind in (1, 2)),
    Format("image/x-im", b"Image type: ", 0, _always),
    *(Format("image/x-msp", mark, 0, _always, anywhere=False) for mark in (b"DanM", b"LinS")),
    Format("image/x-farbfeld", b"farbfeld\0\0", 0, _farbfeld),
    Format("image/bpg", b"BPG\xfb", 0, _always),
    Format("image/x-xcf", b"gimp xcf ", 0, _always),
    Format("image/x-sun-raster", b"\x59\xa6\x6a\x95", 0, _sun),
    *(Format("image/ktx", b"\xabKTX " + version + b"\xbb\r\n\x1a\n", 0, _always) for version in (b"11", b"20")),
    Format("application/dicom", b"DICM\2\0\0\0", 0, _always),
    Format("image/flif", b"FLIF", 0, _digit),
    *(Format("image/x-dpx", mark, 0, _always, anywhere=False) for mark in (b"SDPX", b"XPDS", b"\x80\x2a\x5f\xd7")),
    Format("image/vnd.djvu", b"AT&TFORM", 0, _always),
    Format("image/x-jbig2", b"\x97JB2\r\n\x1a\n", 0, _always),
    *(Format("image/x-ilbm", mark, 8, _iff) for mark in (b"ILBM", b"PBM ")),
    Format("image/wmf", b"\xd7\xcd\xc6\x9a\0\0", 0, _always),
    Format("image/emf", b"\1\0\0\0", 0, _metafile, anywhere=False),
    *(Format("image/x-texture", mark, 0, _always, anywhere=False) for mark in (b"BLP1", b"BLP2", b"\x13\xab\xa1\x5c")),
)
ANYWHERE = tuple(each for each in FORMATS if each.anywhere)
_BY_HEAD: dict[bytes, list[Format]] = {}
for _format in FORMATS:
    _BY_HEAD.setdefault(_format.mark[:2] if _format.at == 0 else b"", []).append(_format)


def at(format_: Format, data: Bytes, start: int) -> bool:
    """Whether such a file begins at `start`; no header makes it raise."""
    try:
        return start >= 0 and format_.check(bytes(data[start : start + WINDOW_BYTES]), data, start)
    except (struct.error, IndexError, ValueError, OverflowError):
        return False


def beginning(data: Bytes) -> str:
    """The kind of image file that `data` is; "" of anything else."""
    if len(data) < 32:
        return ""
    head = bytes(data[:32])
    likely = (*_BY_HEAD.get(head[:2], ()), *_BY_HEAD[b""])
    return next((each.kind for each in likely if head.startswith(each.mark, each.at) and at(each, data, 0)), "")
