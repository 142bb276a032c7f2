"""Files that want to do harm are refused by the real worker process, with a clear error and under 256 MB."""

import io
import json
import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import pytest
from PIL import Image

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.pipeline.decode import load

LIMITS = pipeline.PipelineLimits()
MEMORY_BAR = 256_000_000
TURN = [{"op": "rotate", "degrees": 90}]


def photo(width: int = 320, height: int = 240) -> Image.Image:
    noise = Image.effect_noise((width, height), 60)
    return Image.merge("RGB", (noise, Image.linear_gradient("L").resize((width, height)), noise.rotate(180)))


def encoded(name: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or photo()).save(buffer, name, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def rows(width: int, height: int) -> bytes:
    """A complete black IDAT: a thousand times smaller than what it decodes to."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    return chunk(b"IDAT", b"".join(packer.compress(row) for _ in range(height)) + packer.flush())


def jpeg_claiming(width: int, height: int, **options: object) -> bytes:
    data = encoded("JPEG", **options)
    at = data.index(b"\xff\xc2" if options.get("progressive") else b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def webp_claiming(width: int, height: int) -> bytes:
    """The extended header's canvas and the frame's own, patched alike."""
    data = bytearray(encoded("WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"))
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    at = data.index(b"\x9d\x01\x2a") + 3
    data[at : at + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def avif_claiming(width: int, height: int) -> bytes:
    data = encoded("AVIF")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def gif(width: int, height: int, frames: int) -> bytes:
    one = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(6) + one * frames + b"\x3b"


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def sequence(name: str, frames: int, size: tuple[int, int] = (8, 8)) -> bytes:
    shades = [Image.new("RGB", size, (shade * 4, 0, 0)) for shade in range(frames)]
    options = {"lossless": True} if name == "WEBP" else {}
    return encoded(name, shades[0], save_all=True, append_images=shades[1:], duration=10, **options)


def jpeg_of_scans(copies: int, size: int = 1_500) -> bytes:
    """A progressive picture whose last scan comes again and again."""
    data = encoded("JPEG", Image.new("RGB", (size, size)), progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * copies + data[-2:]


HOSTILE = {
    "no bytes": (lambda: b"", "empty"),
    "one byte": (lambda: b"\x89", "unsupported_type"),
    "text": (lambda: b"hello " * 100, "unsupported_type"),
    "svg": (
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "unsupported_type",
    ),
    "postscript": (lambda: encoded("EPS"), "unsupported_type"),
    "photoshop": (lambda: b"8BPS\0\x01" + bytes(200), "unsupported_type"),
    "tiff": (lambda: encoded("TIFF"), "unsupported_type"),
    "hdf5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(200), "unsupported_type"),
    "zip": (lambda: b"PK\x03\x04" + bytes(200), "unsupported_type"),
    "bitmap": (lambda: encoded("BMP"), "unsupported_type"),
    "a bomb of 400 megapixels": (lambda: png(20_000, 20_000, rows(20_000, 100)), "too_many_pixels"),
    "a bomb pillow only warns about": (lambda: png(12_000, 12_000, rows(12_000, 100)), "too_many_pixels"),
    "a whole bomb that pillow takes silently": (lambda: png(8_000, 8_000, rows(8_000, 8_000)), "too_many_pixels"),
    "one pixel row over": (lambda: png(8_000, 5_001, rows(8_000, 1)), "too_many_pixels"),
    "a cut png of 40 megapixels": (lambda: png(8_000, 5_000, rows(8_000, 5_000))[:-12], "damaged"),
    "a png of 40 megapixels with a broken stream": (
        lambda: png(8_000, 5_000, chunk(b"IDAT", zlib.compress(bytes(60_000_000))[:-5_000] + b"\xff" * 5_000)),
        "damaged",
    ),
    "a jpeg bomb": (lambda: jpeg_claiming(65_000, 65_000), "too_many_pixels"),
    "a cut jpeg of 39 megapixels": (lambda: cut(jpeg_claiming(6_500, 6_000), 0.9), "damaged"),
    "a progressive jpeg bomb": (lambda: jpeg_claiming(6_500, 6_000, progressive=True), "too_many_pixels"),
    "a cut progressive jpeg": (lambda: cut(jpeg_claiming(4_600, 4_600, progressive=True), 0.9), "damaged"),
    "a jpeg of 4000 scans": (lambda: jpeg_of_scans(4_000), "too_many_scans"),
    "a webp bomb": (lambda: webp_claiming(16_383, 16_383), "too_many_pixels"),
    "a webp whose canvas would not fit": (lambda: webp_claiming(5_000, 5_000), "too_many_pixels"),
    "a webp with no data": (lambda: webp_claiming(3_500, 3_500), "damaged"),
    "an avif bomb": (lambda: avif_claiming(16_000, 16_000), "too_many_pixels"),
    "an avif bomb that its own library refuses": (lambda: avif_claiming(30_000, 30_000), "damaged"),
    "a cut avif": (lambda: cut(avif_claiming(4_200, 4_200), 0.9), "damaged"),
    "a gif bomb": (lambda: gif(65_535, 65_535, 1), "too_many_pixels"),
    "61 frames of gif": (lambda: gif(8, 8, 61), "too_many_frames"),
    "a million frames of gif": (lambda: gif(8, 8, 1_000_000), "too_many_frames"),
    "61 frames of png": (lambda: sequence("PNG", 61), "too_many_frames"),
    "61 frames of webp": (lambda: sequence("WEBP", 61), "too_many_frames"),
    "61 frames of avif": (lambda: sequence("AVIF", 61), "too_many_frames"),
    "many large frames": (lambda: gif(2_000, 2_000, 11), "too_many_pixels"),
    "a text bomb": (lambda: png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))), "damaged"),
    "a profile bomb": (lambda: png(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000)))), "damaged"),
    "a wrong checksum": (lambda: encoded("PNG")[:-20] + b"\0" + encoded("PNG")[-19:], "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_file_is_refused_clearly_and_under_256_mb(name, tmp_path):
    build, code = HOSTILE[name]
    source, destination = tmp_path / "in", tmp_path / "out"
    source.write_bytes(build())
    with pytest.raises(pipeline.PipelineRefused) as raised:
        await pipeline.run(source, destination, TURN, watermarks={}, limits=LIMITS)
    refused = raised.value
    assert refused.code == code, refused.message
    assert refused.message == refused.message.lower()
    assert "\n" not in refused.message
    assert str(tmp_path) not in refused.message
    assert [each.name for each in tmp_path.iterdir()] == ["in"]
    assert 0 < refused.peak_memory_bytes < MEMORY_BAR


ESTIMATE_IS_WRONG = """
import json, sys
from pathlib import Path
from kernel_gateway.reference.pipeline import PipelineLimits, decode, worker
decode._BYTES_PER_PIXEL["image/webp"] = 1
worker.confine(PipelineLimits())
job = {"source": sys.argv[1], "destination": sys.argv[2], "operations": [{"op": "rotate", "degrees": 90}],
       "watermarks": {}, "declared_type": None, "filename": None}
print(json.dumps([worker.answer_of(job, PipelineLimits()), worker.peak_memory_bytes()]))
"""


def test_the_memory_limit_holds_where_the_estimate_is_wrong(tmp_path):
    source = tmp_path / "in"
    source.write_bytes(encoded("WEBP", Image.new("RGB", (6_000, 5_000), "red"), lossless=True, method=0, quality=0))
    child = subprocess.run(
        [sys.executable, "-c", ESTIMATE_IS_WRONG, str(source), str(tmp_path / "out")], capture_output=True, check=True
    )
    answer, peak = json.loads(child.stdout)
    assert answer["refused"][0] in ("damaged", "out_of_memory")
    assert 0 < peak < MEMORY_BAR


@pytest.mark.parametrize(
    ("declared_type", "filename"), [("image/png", None), (None, "photo.png"), ("image/jpeg", "photo.webp")]
)
async def test_a_lying_type_or_extension_is_refused_before_a_pixel_is_decoded(tmp_path, declared_type, filename):
    source = tmp_path / "in"
    source.write_bytes(jpeg_claiming(65_000, 65_000))
    with pytest.raises(pipeline.PipelineRefused) as refused:
        await pipeline.run(
            source,
            tmp_path / "out",
            TURN,
            watermarks={},
            limits=LIMITS,
            declared_type=declared_type,
            filename=filename,
        )
    assert refused.value.code == "type_mismatch"


async def test_a_hostile_watermark_is_refused_by_name(tmp_path):
    source, logo = tmp_path / "in", tmp_path / "logo"
    source.write_bytes(encoded("PNG"))
    logo.write_bytes(png(2_001, 2_000, rows(2_001, 2_000)))
    mark = [{"op": "watermark", "upload_id": "upl_logo0000"}]
    with pytest.raises(pipeline.PipelineRefused, match="watermark `upl_logo0000`: the png") as refused:
        await pipeline.run(source, tmp_path / "out", mark, watermarks={"upl_logo0000": logo}, limits=LIMITS)
    assert refused.value.code == "too_many_pixels"
    assert 0 < refused.value.peak_memory_bytes < MEMORY_BAR


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "GIF"])
async def test_an_archive_behind_a_picture_is_not_carried_along(tmp_path, name):
    archive = b"PK\x03\x04" + b"payload of the archive" * 20 + b"PK\x05\x06" + bytes(18)
    source, destination = tmp_path / "in", tmp_path / "out"
    source.write_bytes(encoded(name) + archive)
    await pipeline.run(source, destination, TURN, watermarks={}, limits=LIMITS)
    assert b"payload" not in destination.read_bytes()


WHOLE = {
    "png": lambda: encoded("PNG", photo(64, 48)),
    "png in palette": lambda: encoded("PNG", photo(64, 48).quantize(16)),
    "animated png": lambda: sequence("PNG", 3),
    "jpeg": lambda: encoded("JPEG", photo(64, 48)),
    "progressive jpeg": lambda: encoded("JPEG", photo(64, 48), progressive=True),
    "webp": lambda: encoded("WEBP", photo(64, 48)),
    "lossless webp": lambda: encoded("WEBP", photo(64, 48), lossless=True),
    "animated webp": lambda: sequence("WEBP", 3),
    "avif": lambda: encoded("AVIF", photo(64, 48)),
    "animated avif": lambda: sequence("AVIF", 3),
    "gif": lambda: encoded("GIF", photo(64, 48)),
    "animated gif": lambda: sequence("GIF", 3),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_anywhere_is_refused_and_whole_it_is_not(name, tmp_path):
    data, path = WHOLE[name](), tmp_path / "in"
    path.write_bytes(data)
    assert load(path, LIMITS).image.size
    for length in {*range(1, len(data) - 40, max(1, len(data) // 60)), *range(len(data) - 40, len(data))}:
        path.write_bytes(data[:length])
        with pytest.raises(pipeline.PipelineRefused) as refused:
            load(path, LIMITS)
        assert refused.value.code in ("damaged", "unsupported_type"), length


def test_every_byte_of_a_png_is_under_a_checksum(tmp_path):
    data, path = encoded("PNG", photo(16, 16)), tmp_path / "in"
    for at in range(8, len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(pipeline.PipelineRefused):
            load(path, LIMITS)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "AVIF", "GIF"])
def test_garbage_behind_a_magic_never_escapes_as_another_error(name, tmp_path):
    data, path = encoded(name, photo(32, 32)), tmp_path / "in"
    for seed in range(120):
        spoiled = bytearray(data)
        for step in range(1 + seed % 7):
            spoiled[(seed * 2_654_435_761 + step * 40_503) % len(data)] ^= 1 << (seed + step) % 8
        path.write_bytes(spoiled)
        try:
            load(path, LIMITS)
        except pipeline.PipelineRefused as refused:
            assert refused.code in ("damaged", "unsupported_type", "too_many_pixels", "too_many_frames")


def test_both_sides_of_the_source_and_pixel_and_frame_limits(tmp_path):
    path = tmp_path / "in"
    path.write_bytes(encoded("PNG", photo(50, 40)))
    size = path.stat().st_size
    assert load(path, replace(LIMITS, max_source_bytes=size, max_pixels=2_000)).image.size == (50, 40)
    for limits, code in (
        (replace(LIMITS, max_source_bytes=size - 1), "too_large"),
        (replace(LIMITS, max_pixels=1_999), "too_many_pixels"),
    ):
        with pytest.raises(pipeline.PipelineRefused) as refused:
            load(path, limits)
        assert refused.value.code == code
    path.write_bytes(gif(8, 8, 60))
    assert load(path, LIMITS).image.size == (8, 8)


def test_both_sides_of_the_scan_limit(tmp_path):
    path = tmp_path / "in"
    data = encoded("JPEG", photo(64, 48), progressive=True)
    scans = data.count(b"\xff\xda")
    assert 5 < scans < LIMITS.max_scans
    path.write_bytes(data)
    assert load(path, replace(LIMITS, max_scans=scans)).image.size == (64, 48)
    with pytest.raises(pipeline.PipelineRefused, match=f"over {scans - 1} scans") as refused:
        load(path, replace(LIMITS, max_scans=scans - 1))
    assert refused.value.code == "too_many_scans"


@pytest.mark.parametrize("progressive", [True, False])
def test_only_scans_count_as_scans(progressive, tmp_path):
    """Not the same two bytes in a comment, a preview or the film behind a phone's picture."""
    path, noise = tmp_path / "in", b"\xff\xda" * 1_000
    preview = encoded("JPEG", photo(16, 16), progressive=True)
    path.write_bytes(encoded("JPEG", photo(), progressive=progressive, comment=noise + preview) + noise)
    assert load(path, LIMITS).image.size == (320, 240)
    fills = b"\xff" * 9
    path.write_bytes(encoded("JPEG", photo(), progressive=progressive).replace(b"\xff\xdb", fills + b"\xff\xdb", 1))
    assert load(path, LIMITS).image.size == (320, 240)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "AVIF", "GIF"])
async def test_of_an_animation_the_first_frame_is_processed(tmp_path, name):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    source, destination = tmp_path / "in", tmp_path / "out"
    source.write_bytes(encoded(name, frames[0], save_all=True, append_images=frames[1:], duration=50))
    result = await pipeline.run(source, destination, [{"op": "convert", "format": "png"}], watermarks={}, limits=LIMITS)
    with Image.open(destination) as image:
        assert (result.width, result.height) == image.size == (20, 10)
        assert getattr(image, "n_frames", 1) == 1
        red, green, blue = image.convert("RGB").getpixel((10, 5))
    assert red > 200
    assert max(green, blue) < 60


async def test_a_phones_photograph_with_a_second_picture_inside_is_an_ordinary_jpeg(tmp_path):
    source, destination = tmp_path / "in", tmp_path / "out"
    source.write_bytes(encoded("MPO", photo(64, 48), save_all=True, append_images=[Image.new("RGB", (16, 12))]))
    result = await pipeline.run(
        source, destination, TURN, watermarks={}, limits=LIMITS, declared_type="image/jpeg", filename="IMG_1.JPG"
    )
    assert (result.content_type, result.width, result.height) == ("image/jpeg", 48, 64)
    assert b"MPF\0" not in destination.read_bytes()
