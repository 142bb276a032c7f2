"""No output carries what a camera wrote into the file. Read back by a parser of this test's own, not by Pillow."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.pipeline.colour import normalise
from kernel_gateway.reference.pipeline.decode import Loaded

LIMITS = pipeline.PipelineLimits()
SECRET = b"SECRET-51.5007N"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OUTPUTS = ["png", "jpeg", "webp", "avif"]
KEEP, DROP = {"op": "strip_metadata", "keep_icc": True}, {"op": "strip_metadata"}
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(width: int = 96, height: int = 64) -> Image.Image:
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(WHITE, (width // 2, height // 2, width, height))
    return image


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[ExifTags.Base.ImageDescription] = SECRET.decode()
    tags[ExifTags.Base.Orientation] = orientation
    place = tags.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLatitude] = "N", (51.0, 30.0, 2.5)
    place[ExifTags.GPS.GPSAreaInformation] = SECRET
    return tags


def laden(name: str) -> bytes:
    """A picture with everything its format can carry besides pixels."""
    buffer, options = io.BytesIO(), {"exif": exif(), "icc_profile": SRGB, "xmp": XMP}
    match name:
        case "JPEG":
            quarters().save(buffer, name, comment=SECRET, quality=95, **options)
            data = buffer.getvalue()
            photoshop = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x10" + SECRET
            return data[:2] + b"\xff\xed" + struct.pack(">H", len(photoshop) + 2) + photoshop + data[2:]
        case "PNG":
            texts = PngInfo()
            texts.add_text("Comment", SECRET.decode())
            texts.add_text("Location", SECRET.decode(), zip=True)
            texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
            del options["xmp"]
            quarters().save(buffer, name, pnginfo=texts, dpi=(300, 300), **options)
        case "GIF":
            quarters().save(buffer, name, comment=SECRET, xmp=XMP)
        case _:
            quarters().save(buffer, name, quality=95, **options)
    return buffer.getvalue()


def png_parts(data: bytes) -> Iterator[str]:
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8].decode()
        at += length + 12


def jpeg_parts(data: bytes) -> Iterator[str]:
    at = 2
    while True:
        assert data[at] == 0xFF
        marker = data[at + 1]
        yield f"{marker:02x}"
        if marker == 0xD9:
            assert at + 2 == len(data)
            return
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            while data[at] != 0xFF or data[at + 1] in (0, *range(0xD0, 0xD8)):
                at += 1


def webp_parts(data: bytes) -> Iterator[str]:
    assert int.from_bytes(data[4:8], "little") + 8 == len(data)
    at = 12
    while at < len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4].decode()
        at += 8 + length + length % 2


CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6}


def avif_parts(data: bytes) -> Iterator[str]:
    """Every box by name; items by their type, colours by their kind."""
    at = 0
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        assert length >= 8
        body = data[at + 8 : at + length]
        if kind == b"infe":
            assert body[0] == 2
            yield "item " + body[8:12].decode()
        elif kind == b"colr":
            yield "colr " + body[:4].decode()
        else:
            yield kind.decode()
        if kind in CONTAINERS:
            yield from avif_parts(body[CONTAINERS[kind] :])
        at += length


PARTS = {"png": png_parts, "jpeg": jpeg_parts, "webp": webp_parts, "avif": avif_parts}
PIXELS = {
    "png": {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"},
    "jpeg": {"e0", "db", "c0", "c2", "c4", "da", "d9"},
    "webp": {"VP8 ", "VP8L", "VP8X", "ALPH"},
    "avif": {
        *("ftyp", "meta", "hdlr", "pitm", "iloc", "iinf", "item av01", "iref", "iprp", "ipco", "ispe", "pixi", "av1C"),
        *("auxC", "colr nclx", "ipma", "mdat"),
    },
}
PROFILE = {"png": "iCCP", "jpeg": "e2", "webp": "ICCP", "avif": "colr prof"}
PLANTED = {
    "PNG": {"tEXt", "zTXt", "iTXt", "eXIf", "iCCP", "pHYs"},
    "JPEG": {"e1", "e2", "ed", "fe"},
    "WEBP": {"EXIF", "XMP ", "ICCP"},
    "AVIF": {"item Exif", "item mime", "colr prof"},
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_parser_sees_what_was_planted(name):
    assert set(PARTS[name.lower()](laden(name))) >= PLANTED[name]
    assert SECRET in laden(name)


async def processed(folder: Path, data: bytes, *operations) -> bytes:
    source, destination = folder / "in", folder / "out"
    source.write_bytes(data)
    await pipeline.run(source, destination, operations, watermarks={}, limits=LIMITS)
    return destination.read_bytes()


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "AVIF", "GIF"])
async def test_the_output_is_pixels_and_at_most_a_profile(name, output, tmp_path):
    convert = {"op": "convert", "format": output}
    profile = set() if name == "GIF" else {PROFILE[output]}
    for operations, kept in (([convert, KEEP], profile), ([DROP, convert], set())):
        data = await processed(tmp_path, laden(name), *operations)
        assert set(PARTS[output](data)) & {PROFILE[output]} == kept
        assert set(PARTS[output](data)) - {PROFILE[output]} <= PIXELS[output]
        assert SECRET not in data
        assert (SRGB in data) == (bool(kept) and output != "png")  # a PNG's profile is compressed


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "AVIF", "GIF"])
async def test_without_strip_metadata_too_no_location_leaves(name, tmp_path):
    data = await processed(tmp_path, laden(name), {"op": "rotate", "flip": "vertical"})
    output = "png" if name == "GIF" else name.lower()
    assert set(PARTS[output](data)) <= PIXELS[output] | {PROFILE[output]}
    assert SECRET not in data


async def test_a_watermark_brings_no_metadata_of_its_own(tmp_path):
    source, logo, destination = tmp_path / "in", tmp_path / "logo", tmp_path / "out"
    source.write_bytes(laden("PNG"))
    logo.write_bytes(laden("JPEG"))
    operations = [{"op": "watermark", "upload_id": "upl_logo"}, DROP]
    await pipeline.run(source, destination, operations, watermarks={"upl_logo": logo}, limits=LIMITS)
    assert set(png_parts(destination.read_bytes())) <= PIXELS["png"]


def corners(image: Image.Image) -> list[tuple[int, int, int]]:
    """Rounded to the nearest of the four colours, for lossy formats."""
    right, bottom = image.width - 8, image.height - 8
    picked = [image.convert("RGB").getpixel(at) for at in ((8, 8), (right, 8), (8, bottom), (right, bottom))]
    return [tuple(255 if value > 127 else 0 for value in colour) for colour in picked]


TURNED = {  # orientation -> what the file stores for it to look like quarters()
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", TURNED)
def test_every_orientation_is_applied_in_every_format(name, orientation):
    buffer = io.BytesIO()
    TURNED[orientation](quarters()).save(buffer, name, exif=exif(orientation))
    with Image.open(buffer) as image:
        image.load()
        pixels = normalise(Loaded(image, f"image/{name.lower()}")).pixels
    assert pixels.size == (96, 64)
    assert corners(pixels) == [RED, GREEN, BLUE, WHITE]
    assert not pixels.info


async def test_orientation_is_applied_before_the_first_operation_and_never_twice(tmp_path):
    buffer = io.BytesIO()
    TURNED[6](quarters()).save(buffer, "JPEG", exif=exif(6), quality=95)
    left = {"op": "crop", "width": 48, "height": 64, "x": 0, "y": 0}
    once = await processed(tmp_path, buffer.getvalue(), left)
    twice = await processed(tmp_path, once, KEEP)
    for data in (once, twice):
        with Image.open(io.BytesIO(data)) as image:
            assert image.size == (48, 64)
            assert corners(image) == [RED, RED, BLUE, BLUE]


@pytest.mark.parametrize("broken", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"])
async def test_broken_exif_turns_nothing_and_refuses_nothing(broken, tmp_path):
    buffer = io.BytesIO()
    quarters().save(buffer, "JPEG", exif=broken, quality=95)
    with Image.open(io.BytesIO(await processed(tmp_path, buffer.getvalue(), KEEP))) as image:
        assert corners(image) == [RED, GREEN, BLUE, WHITE]


def swapped_profile() -> bytes:
    """sRGB with the primaries of red and green exchanged: a pixel stored red shows green."""
    profile, places = bytearray(SRGB), {}
    for index in range(int.from_bytes(SRGB[128:132], "big")):
        entry = SRGB[132 + 12 * index :][:12]
        places[entry[:4]] = slice(
            *(start := int.from_bytes(entry[4:8], "big"), start + int.from_bytes(entry[8:], "big"))
        )
    profile[places[b"rXYZ"]], profile[places[b"gXYZ"]] = SRGB[places[b"gXYZ"]], SRGB[places[b"rXYZ"]]
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
async def test_dropping_the_profile_keeps_the_visible_colours(mode, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), RED).convert(mode).save(buffer, "PNG", icc_profile=swapped_profile())
    kept = await processed(tmp_path, buffer.getvalue(), KEEP)
    dropped = await processed(tmp_path, buffer.getvalue(), DROP)
    with Image.open(io.BytesIO(kept)) as image:
        assert corners(image)[0] == RED
        assert image.info["icc_profile"] == swapped_profile()
    with Image.open(io.BytesIO(dropped)) as image:
        assert (image.mode, corners(image)[0]) == (mode, GREEN)


def profile_with_private_text() -> bytes:
    """sRGB with one more tag of the author's own (ICC.1, 7.3: a table of signature, offset and size)."""
    text = b"text\0\0\0\0" + SECRET.ljust(32, b"\0")
    count = int.from_bytes(SRGB[128:132], "big")
    table = b"".join(
        SRGB[at : at + 4]
        + struct.pack(">I", int.from_bytes(SRGB[at + 4 : at + 8], "big") + 12)
        + SRGB[at + 8 : at + 12]
        for at in range(132, 132 + 12 * count, 12)
    )
    table += struct.pack(">4sII", b"GPS0", len(SRGB) + 12, len(text))
    body = struct.pack(">I", count + 1) + table + SRGB[132 + 12 * count :] + text
    return struct.pack(">I", 128 + len(body)) + SRGB[4:128] + body


@pytest.mark.parametrize("output", OUTPUTS)
async def test_private_text_in_a_profile_goes_with_strip_metadata(output, tmp_path):
    buffer, profile = io.BytesIO(), profile_with_private_text()
    quarters().save(buffer, "JPEG", icc_profile=profile, quality=95)
    convert = {"op": "convert", "format": output}
    stripped = await processed(tmp_path, buffer.getvalue(), convert, DROP)
    assert PROFILE[output] not in set(PARTS[output](stripped)) and SECRET not in stripped
    for operations in ([convert], [convert, KEEP]):  # documented: the profile goes along as it is
        with Image.open(io.BytesIO(await processed(tmp_path, buffer.getvalue(), *operations))) as image:
            assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("profile", [b"not a profile", SRGB[:200], bytes(128)])
async def test_a_profile_that_cannot_be_read_is_dropped(profile, tmp_path):
    buffer = io.BytesIO()
    quarters().save(buffer, "JPEG", icc_profile=profile, quality=95)
    data = await processed(tmp_path, buffer.getvalue(), KEEP)
    assert PROFILE["jpeg"] not in set(jpeg_parts(data))
