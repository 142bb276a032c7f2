"""Formats are told by their bytes; names and declared types are claims to be checked."""

import io

import pytest
from PIL import Image

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.pipeline.formats import check_claims

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
}


def encoded(name: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (20, 10)).save(buffer, name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("name", FORMATS)
def test_every_allowed_format_is_told_by_its_first_bytes(name):
    assert pipeline.sniff(encoded(name)[: pipeline.SNIFF_BYTES]) == FORMATS[name]


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": Image.Exif()}, {"xmp": b"<x/>"}])
def test_every_kind_of_webp_is_webp(options):
    assert pipeline.sniff(encoded("WEBP", **options)) == "image/webp"


@pytest.mark.parametrize(
    "name", ["TIFF", "BMP", "ICO", "PPM", "TGA", "SGI", "DDS", "PCX", "JPEG2000", "QOI", "EPS", "PDF"]
)
def test_what_pillow_could_open_but_we_do_not_offer_is_nothing(name):
    assert pipeline.sniff(encoded(name)) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x89PNG",
        b"\x89PNG\r\n\x1a",
        b"\xff\xd8",
        b"GIF88a",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"RIFF\0\0\0\0WEBPJUNK",
        b"8BPS\0\x01",
        b"\x89HDF\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"PK\x03\x04",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x14ftypmif1\0\0\0\0heic" + b"avif",  # the brand box ends before avif
    ],
)
def test_near_misses_are_nothing(head):
    assert pipeline.sniff(head) is None


def test_a_general_heif_brand_counts_when_avif_is_among_the_compatible_ones():
    assert pipeline.sniff(b"\0\0\0\x18ftypmif1\0\0\0\0miafavif") == "image/avif"


def test_an_extension_claims_a_type_or_nothing():
    assert pipeline.type_of_name("Holiday.JPEG") == "image/jpeg"
    assert pipeline.type_of_name("a.b.webp") == "image/webp"
    assert pipeline.type_of_name("notes.txt") is None
    assert pipeline.type_of_name("png") is None


@pytest.mark.parametrize(
    ("declared", "filename"),
    [("image/png", None), ("text/html", None), (None, "x.png"), ("image/jpeg", "x.gif")],
)
def test_a_lying_type_or_extension_is_refused(declared, filename):
    with pytest.raises(pipeline.PipelineRefused) as refused:
        check_claims("image/jpeg", declared, filename)
    assert refused.value.code == "type_mismatch"


@pytest.mark.parametrize(
    ("declared", "filename"),
    [(None, None), ("image/jpeg", "x.jpg"), ("Image/JPEG; q=1", "x.JFIF"), ("image/jpeg", "no extension")],
)
def test_a_true_type_and_an_extension_that_says_nothing_else_pass(declared, filename):
    check_claims("image/jpeg", declared, filename)
