"""Pictures in an answer."""

import base64
import io
import json
import struct
import zlib
from dataclasses import replace

import pytest
from PIL import Image as Pillow

from kernel_gateway.frontends.answers import executed
from kernel_gateway.frontends.images import MAX_SCANS, PictureError, Pictures, fit, recognise
from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.sessions.result import ExecuteResult, Image

SETTINGS = McpSettings()
RESULT = ExecuteResult("ok", "s1", 1)
MIB = 1024 * 1024


def picture(format_="PNG", size=(64, 48), mode="RGB", **options):
    """Noise, which no encoder makes small."""
    noise = Pillow.effect_noise(size, 90).convert(mode)
    if mode == "RGBA":
        noise.putalpha(Pillow.effect_noise(size, 90))
    file = io.BytesIO()
    noise.save(file, format_, **options)
    return file.getvalue()


def opened(data):
    image = Pillow.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("format_", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_a_picture_that_fits_goes_out_byte_for_byte(format_, mime):
    data = picture(format_)
    assert fit(data, len(data), SETTINGS) == (Image(mime, data), "")


def test_the_bytes_decide_what_a_picture_is_and_not_its_label():
    assert recognise(picture("JPEG")) == "image/jpeg"
    for data in (b"<svg onload=alert(1)>", b"<html>", b"GIF89a", b"RIFF....WAVE", b"alert(1)", b"", b"\x89PNG"):
        assert recognise(data) is None


@pytest.mark.parametrize(
    "data", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<script>alert(1)</script>", b"GIF89a"]
)
def test_anything_else_is_refused_whatever_it_claims(data):
    with pytest.raises(PictureError, match="not a png, jpeg or webp"):
        fit(data, MIB, SETTINGS)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_a_broken_picture_is_refused(format_):
    data = picture(format_, (200, 200))
    with pytest.raises(PictureError, match="broken"):
        fit(data[: len(data) // 2], MIB, SETTINGS)


def test_a_picture_too_large_for_its_room_is_made_smaller_and_still_fits():
    data = picture("PNG", (800, 600))
    image, change = fit(data, 50_000, SETTINGS)
    assert image.mime == recognise(image.data) == "image/jpeg"
    assert len(image.data) <= 50_000
    assert change.startswith(f"made smaller to fit, from 800x600 ({len(data)} bytes) to ")
    width, height = opened(image.data).size
    assert abs(width / height - 800 / 600) < 0.05


def test_a_transparent_picture_stays_transparent_when_it_is_made_smaller():
    image, _ = fit(picture("PNG", (600, 600), "RGBA"), 40_000, SETTINGS)
    assert image.mime == "image/webp"
    assert opened(image.data).mode == "RGBA"


def test_a_photograph_turned_by_exif_is_upright_when_it_is_made_smaller():
    exif = Pillow.Exif()
    exif[0x0112] = 6
    image, _ = fit(picture("JPEG", (600, 300), exif=exif), 20_000, SETTINGS)
    shown = opened(image.data)
    assert shown.height > shown.width
    assert not shown.getexif()


def test_a_small_picture_with_a_large_annex_is_encoded_anew():
    data = picture("PNG", (20, 20))
    annex = struct.pack("!I", 100_000) + b"prVt" + bytes(100_000)
    annex += struct.pack("!I", zlib.crc32(annex[4:]))
    large = data[:33] + annex + data[33:]
    image, change = fit(large, 5_000, SETTINGS)
    assert opened(image.data).size == (20, 20)
    assert change == f"re-encoded to fit, from {len(large)} to {len(image.data)} bytes"


def test_a_picture_that_never_fits_is_refused():
    with pytest.raises(PictureError, match="does not fit"):
        fit(picture("PNG", (300, 300)), 100, SETTINGS)


def test_the_pixel_limit_holds_on_both_sides():
    settings = McpSettings(max_image_pixels=1_000_000)
    assert fit(picture("JPEG", (1_000, 1_000)), MIB, settings)[1] == ""
    with pytest.raises(PictureError, match="more than 1000000 pixels"):
        fit(picture("JPEG", (1_000, 1_001)), MIB, settings)


@pytest.mark.parametrize("side", [10_000, 20_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(side):
    header = struct.pack("!IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    ihdr = struct.pack("!I", len(header)) + chunk + struct.pack("!I", zlib.crc32(chunk))
    with pytest.raises(PictureError, match="more than 8000000 pixels"):
        fit(b"\x89PNG\r\n\x1a\n" + ihdr + picture()[33:], MIB, SETTINGS)


def test_a_jpeg_of_endless_scans_is_refused_before_it_is_decoded():
    data = picture("JPEG")
    with pytest.raises(PictureError, match=f"more than {MAX_SCANS} scans"):
        fit(data + b"\xff\xda" * MAX_SCANS, MIB, SETTINGS)
    assert fit(picture("JPEG", progressive=True), MIB, SETTINGS)[1] == ""


async def test_pictures_beyond_the_limit_are_counted_and_broken_ones_named():
    shown = await Pictures(McpSettings(max_images=2)).show(
        [Image("image/png", picture()), Image("image/png", b"<svg/>"), Image("image/png", picture())], MIB
    )
    assert len(shown.images) == 1
    assert shown.notes == (
        "image 2 was left out: not a png, jpeg or webp",
        "1 image left out (limit 2)",
    )
    many = [Image("image/png", picture())] * 12
    assert (await Pictures(SETTINGS).show(many, MIB)).notes == ("4 images left out (limit 8)",)


async def test_no_pictures_cost_nothing():
    assert (await Pictures(SETTINGS).show([], MIB)).images == ()


@pytest.mark.parametrize(
    "result",
    [
        replace(RESULT, images=tuple(Image("image/png", picture("PNG", (700, 500))) for _ in range(8))),
        replace(RESULT, stdout="\U0001f4a5" * 60_000, images=(Image("image/png", picture("PNG", (900, 900))),)),
        replace(RESULT, stdout="\x00" * 60_000, result="\x1b" * 60_000, images=(Image("x", picture(size=(900, 900))),)),
    ],
)
async def test_an_answer_stays_under_one_mebibyte_as_an_event(result):
    answer = await executed(result, Pictures(SETTINGS), SETTINGS)
    event = json.dumps({"jsonrpc": "2.0", "id": 1, "result": answer.model_dump(mode="json", by_alias=True)})
    assert len(event) < MIB
    images = [block for block in answer.content if block.type == "image"]
    assert len(images) == len(result.images)
    for block in images:
        assert recognise(base64.b64decode(block.data)) == block.mime_type
    assert "made smaller to fit" in answer.content[0].text
    assert len(answer.content[0].text) <= 24_000


async def test_many_complaints_about_pictures_do_not_break_the_text_budget():
    result = replace(RESULT, stdout="x" * 100_000, images=tuple(Image("image/png", b"no") for _ in range(64)))
    answer = await executed(result, Pictures(McpSettings(max_images=64)), McpSettings(max_images=64))
    assert len(answer.content) == 1
    assert len(answer.content[0].text) <= 24_000
    assert "image 1 was left out" in answer.content[0].text
