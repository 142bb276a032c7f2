"""Every mode that the allowed formats can hold becomes the same colours as RGB or RGBA."""

import io
import struct
import zlib

import pytest
from PIL import Image

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.pipeline.colour import Picture, normalise
from kernel_gateway.reference.pipeline.decode import load

LIMITS = pipeline.PipelineLimits()


@pytest.fixture
def picture(tmp_path):
    def read(data: bytes) -> Picture:
        path = tmp_path / "in"
        path.write_bytes(data)
        return normalise(load(path, LIMITS))

    return read


def saved(image: Image.Image, name: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def raw_png(depth: int, colour: int, row: bytes, width: int, *more: tuple[bytes, bytes]) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)), *more]
    chunks += [(b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 128, (128, 128, 128)),
        ("LA", (128, 64), (128, 128, 128, 64)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("RGBA", (1, 2, 3, 4), (1, 2, 3, 4)),
    ],
)
def test_png_modes(picture, mode, value, expected):
    assert picture(saved(Image.new(mode, (4, 4), value))).pixels.getpixel((2, 2)) == expected


def test_sixteen_bit_grey_is_scaled_and_not_clipped(picture):
    grey = Image.new("I;16", (4, 1))
    for x, value in enumerate((0, 0x0101, 0x8080, 0xFFFF)):
        grey.putpixel((x, 0), value)
    pixels = picture(saved(grey)).pixels
    assert [pixels.getpixel((x, 0)) for x in range(4)] == [(v, v, v) for v in (0, 1, 128, 255)]


def test_sixteen_bit_colour_keeps_its_high_bytes(picture):
    row = struct.pack(">6H", 0xFFFF, 0x8000, 0, 0, 0x1234, 0xFFFF)
    pixels = picture(raw_png(16, 2, row, 2)).pixels
    assert [pixels.getpixel((x, 0)) for x in range(2)] == [(255, 128, 0), (0, 0x12, 255)]


def test_a_palette_keeps_its_colours_and_its_transparency(picture):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert picture(saved(image)).pixels.mode == "RGB"
    pixels = picture(saved(image, transparency=bytes([255, 0]))).pixels
    assert [pixels.getpixel((x, 0)) for x in range(2)] == [(255, 0, 0, 255), (0, 0, 255, 0)]


def test_a_transparent_colour_becomes_transparency(picture):
    key = (b"tRNS", struct.pack(">3H", 1, 2, 3))
    pixels = picture(raw_png(8, 2, bytes([1, 2, 3, 9, 9, 9]), 2, key)).pixels
    assert [pixels.getpixel((x, 0))[3] for x in range(2)] == [0, 255]


@pytest.mark.parametrize(
    ("depth", "colour", "size"), [(16, 0, 2), (16, 2, 6), (8, 0, 1), (1, 0, 1), (16, 4, 4), (16, 6, 8)]
)
def test_no_depth_with_a_transparent_colour_breaks_the_decoder(picture, depth, colour, size):
    key = (b"tRNS", struct.pack(">H", 0xFFFF) * (3 if colour == 2 else 1))
    chunks = [key] if colour in (0, 2) else []
    assert picture(raw_png(depth, colour, bytes(size), 1, *chunks)).pixels.size == (1, 1)


def test_gif_transparency_survives(picture):
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    pixels = picture(saved(image, "GIF")).pixels
    assert (pixels.getpixel((0, 0))[3], pixels.getpixel((2, 2))) == (0, (255, 0, 0, 255))


@pytest.mark.parametrize(
    ("ink", "expected"), [((0, 0, 0, 0), (255, 255, 255)), ((0, 0, 0, 255), (0, 0, 0)), ((0, 255, 255, 0), (255, 0, 0))]
)
def test_print_colours_become_screen_colours(picture, ink, expected):
    result = picture(saved(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95))
    assert result.pixels.mode == "RGB"
    assert all(abs(a - b) < 8 for a, b in zip(result.pixels.getpixel((8, 8)), expected, strict=True))


@pytest.mark.parametrize("name", ["WEBP", "AVIF"])
def test_transparency_of_modern_formats_survives(picture, name):
    pixels = picture(saved(Image.new("RGBA", (16, 16), (255, 0, 0, 0)), name)).pixels
    assert (pixels.mode, pixels.getpixel((8, 8))[3]) == ("RGBA", 0)
