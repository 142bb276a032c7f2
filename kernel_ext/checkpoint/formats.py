"""Formats of image files: the marks they are looked for by, and the check of what is round a mark."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from kernel_ext.checkpoint import headers
from kernel_ext.checkpoint.headers import Bytes

WINDOW_BYTES = 1024
"""So much of a file is looked at; a few checks follow an offset further."""


@dataclass(frozen=True, slots=True)
class Format:
    kind: str
    mark: bytes
    at: int
    """Where in the file the mark is."""
    check: Callable[[bytes, Bytes, int], bool]
    anywhere: bool = True
    """The mark and the check are strong enough for any offset of any data; else only where an object begins."""


def _netpbm_formats() -> list[Format]:
    return [
        Format("image/x-portable-anymap", b"P%c%c" % (kind, end), 0, headers.pnm)
        for kind in b"1234567Ff"
        for end in b"\n \r"
    ]


FORMATS = (
    Format("image/png", b"\x89PNG\r\n\x1a\n", 0, headers.png),
    Format("image/png", b"\0\0\0\rIHDR", 0, headers.png_without_signature),
    Format("video/x-mng", b"\x8aMNG\r\n\x1a\n", 0, headers.png),
    Format("image/x-jng", b"\x8bJNG\r\n\x1a\n", 0, headers.png),
    Format("image/jpeg", b"\xff\xd8\xff", 0, headers.jpeg),
    *(Format("image/jpeg", b"\xff" + bytes([frame]) + b"\0", 0, headers.jpeg_frame) for frame in (0xC0, 0xC1, 0xC2)),
    Format("image/gif", b"GIF8", 0, headers.gif),
    Format("image/webp", b"WEBPVP8", 8, headers.webp),
    *(
        Format("image/bmp", b"\1\0%c\0%c\0\0\0" % (bits, packed), 12, headers.dib)
        for bits in (4, 8, 16, 24, 32)
        for packed in (0, 3)
    ),
    Format("image/bmp", b"\x3e\0\0\0\x28\0\0\0", 10, headers.bmp),
    Format("image/bmp", b"BM", 0, headers.bmp, anywhere=False),
    *(Format("image/tiff", mark, 0, headers.tiff) for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *(Format("image/x-raw", mark, 0, headers.tiff) for mark in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0")),
    Format("image/jxr", b"II\xbc\x01", 0, headers.tiff),
    *(Format("image/x-raw", mark, 0, headers.always) for mark in (b"FUJIFILMCCD-RAW ", b"HEAPCCDR", b"FOVb\0\0")),
    Format("image/heif", b"ftyp", 4, headers.boxes),
    Format("image/jp2", b"jP  \r\n\x87\n", 4, headers.always),
    Format("image/jxl", b"JXL \r\n\x87\n", 4, headers.always),
    Format("image/j2c", b"\xff\x4f\xff\x51", 0, headers.j2k),
    Format("image/jxl", b"\xff\x0a", 0, headers.jxl, anywhere=False),
    Format("image/vnd.adobe.photoshop", b"8BPS\0", 0, headers.psd),
    *_netpbm_formats(),
    *(
        Format("image/x-portable-anymap", b"P" + kind, 0, headers.pnm, anywhere=False)
        for kind in (b"1", b"2", b"3", b"F", b"f")
    ),
    Format("image/vnd.ms-dds", b"DDS \x7c", 0, headers.dds),
    Format("image/x-tga", b"TRUEVISION-XFILE.\0", 0, headers.always),
    *(
        Format("image/x-tga", bytes([colours, kind]), 1, headers.tga, anywhere=False)
        for colours in (0, 1)
        for kind in headers.TGA_TYPES[:3]
    ),
    *(Format("image", b"data:image" + slash, 0, headers.data_uri) for slash in (b"/", b"\\/")),
    Format("image/icns", b"icns\0", 0, headers.icns),
    Format("image/qoi", b"qoif", 0, headers.qoi),
    Format("image/x-exr", b"\x76\x2f\x31\x01", 0, headers.exr),
    *(Format("image/vnd.radiance", mark, 0, headers.radiance) for mark in (b"#?RADIANCE", b"#?RGBE")),
    Format("image/fits", b"SIMPLE  = ", 0, headers.fits),
    *(
        Format("image/x-pcx", b"\x0a%c\x01%c" % (version, bits), 0, headers.pcx)
        for version in (2, 3, 5)
        for bits in (1, 2, 4, 8)
    ),
    *(
        Format("image/sgi", b"\x01\xda%c%c\0" % (storage, size), 0, headers.sgi)
        for storage in (0, 1)
        for size in (1, 2)
    ),
    Format("image/x-xbitmap", b"#define ", 0, headers.xbm),
    Format("image/x-xpixmap", b"/* XPM */", 0, headers.xpm),
    Format("application/pdf", b"%PDF-", 0, headers.pdf),
    Format("application/postscript", b"%!PS-Adobe", 0, headers.postscript),
    Format("application/postscript", b"\xc5\xd0\xd3\xc6", 0, headers.always),
    *(Format("image/x-icon", b"\0\0%c\0" % kind, 0, headers.ico, anywhere=False) for kind in (1, 2)),
    Format("image/x-im", b"Image type: ", 0, headers.always),
    *(Format("image/x-msp", mark, 0, headers.always, anywhere=False) for mark in (b"DanM", b"LinS")),
    Format("image/x-farbfeld", b"farbfeld\0\0", 0, headers.farbfeld),
    Format("image/bpg", b"BPG\xfb", 0, headers.always),
    Format("image/x-xcf", b"gimp xcf ", 0, headers.always),
    Format("image/x-sun-raster", b"\x59\xa6\x6a\x95", 0, headers.sun),
    *(Format("image/ktx", b"\xabKTX " + version + b"\xbb\r\n\x1a\n", 0, headers.always) for version in (b"11", b"20")),
    Format("application/dicom", b"DICM\2\0\0\0", 0, headers.always),
    Format("image/flif", b"FLIF", 0, headers.digit),
    *(
        Format("image/x-dpx", mark, 0, headers.always, anywhere=False)
        for mark in (b"SDPX", b"XPDS", b"\x80\x2a\x5f\xd7")
    ),
    Format("image/vnd.djvu", b"AT&TFORM", 0, headers.always),
    Format("image/x-jbig2", b"\x97JB2\r\n\x1a\n", 0, headers.always),
    *(Format("image/x-ilbm", mark, 8, headers.iff) for mark in (b"ILBM", b"PBM ")),
    Format("image/wmf", b"\xd7\xcd\xc6\x9a\0\0", 0, headers.always),
    Format("image/emf", b"\1\0\0\0", 0, headers.metafile, anywhere=False),
    *(
        Format("image/x-texture", mark, 0, headers.always, anywhere=False)
        for mark in (b"BLP1", b"BLP2", b"\x13\xab\xa1\x5c")
    ),
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
