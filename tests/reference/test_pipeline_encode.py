"""What comes out: the format, the quality or the number of bytes that was asked for, or an honest refusal."""

import io
from dataclasses import replace

import pytest
from PIL import Image, ImageCms

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.pipeline.colour import Picture
from kernel_gateway.reference.pipeline.encode import Encoded, encode
from kernel_gateway.reference.pipeline.operations import output_of

LIMITS = pipeline.PipelineLimits()
FORMATS = ["png", "jpeg", "webp", "avif"]
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photo(width: int = 480, height: int = 320) -> Image.Image:
    noise = Image.effect_noise((width // 4, height // 4), 60).resize((width, height), Image.Resampling.BICUBIC)
    return Image.merge("RGB", (noise, Image.linear_gradient("L").resize((width, height)), noise.rotate(180)))


def out(image: Image.Image, *operations, icc: bytes | None = None, limits=LIMITS) -> Encoded:
    output = output_of(pipeline.parse_operations(operations), "image/png")
    return encode(Picture(image.copy(), icc), output, limits)


def opened(encoded: Encoded) -> Image.Image:
    image = Image.open(io.BytesIO(encoded.data))
    image.load()
    assert image.size == (encoded.width, encoded.height)
    return image


@pytest.mark.parametrize("name", FORMATS)
def test_convert_gives_the_format(name):
    encoded = out(photo(), {"op": "convert", "format": name})
    assert pipeline.sniff(encoded.data) == f"image/{name}"
    assert opened(encoded).size == (480, 320)


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_a_higher_quality_takes_more_bytes(name):
    convert = {"op": "convert", "format": name}
    sizes = [len(out(photo(), convert, {"op": "compress", "quality": quality}).data) for quality in (10, 50, 95)]
    assert sizes == sorted(set(sizes))


def test_png_has_no_quality():
    image = photo()
    assert opened(out(image, {"op": "compress", "quality": 1})).convert("RGB").tobytes() == image.tobytes()


@pytest.mark.parametrize("max_bytes", [1_024, 4_000, 20_000, 60_000])
@pytest.mark.parametrize("name", FORMATS)
def test_max_bytes_is_kept_in_every_format(name, max_bytes):
    encoded = out(photo(), {"op": "convert", "format": name}, {"op": "compress", "max_bytes": max_bytes})
    assert len(encoded.data) <= max_bytes
    image = opened(encoded)
    assert abs(image.width / image.height - 1.5) < 0.1


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_max_bytes_lowers_the_quality_before_the_size(name):
    convert = {"op": "convert", "format": name}
    lowest, highest = (len(out(photo(), convert, {"op": "compress", "quality": q}).data) for q in (30, 80))
    encoded = out(photo(), convert, {"op": "compress", "max_bytes": (lowest + highest) // 2, "quality": 80})
    assert (encoded.width, encoded.height) == (480, 320)
    assert len(encoded.data) > lowest


def test_quality_is_the_ceiling_of_max_bytes():
    convert, image = {"op": "convert", "format": "jpeg"}, photo()
    plain = out(image, convert, {"op": "compress", "quality": 40})
    assert out(image, convert, {"op": "compress", "quality": 40, "max_bytes": 10_000_000}).data == plain.data


def test_a_png_loses_colours_before_it_loses_size():
    image = photo()
    full = len(out(image, {"op": "convert", "format": "png"}).data)
    encoded = out(image, {"op": "compress", "max_bytes": full // 3})
    assert (encoded.width, opened(encoded).mode) == (480, "P")


def test_max_bytes_that_cannot_be_met_is_refused_with_the_size_it_has():
    big_profile = PROFILE + bytes(2_000)
    with pytest.raises(pipeline.PipelineRefused, match="its colour profile") as refused:
        out(photo(), {"op": "convert", "format": "jpeg"}, {"op": "compress", "max_bytes": 1_024}, icc=big_profile)
    assert refused.value.code == "max_bytes_unreachable"


def test_both_sides_of_the_output_limit():
    image = photo()
    size = len(out(image, {"op": "convert", "format": "jpeg"}).data)
    assert out(image, {"op": "convert", "format": "jpeg"}, limits=replace(LIMITS, max_output_bytes=size)).data
    with pytest.raises(pipeline.PipelineRefused) as refused:
        out(image, {"op": "convert", "format": "jpeg"}, limits=replace(LIMITS, max_output_bytes=size - 1))
    assert refused.value.code == "output_too_large"


def test_the_longest_side_a_format_takes():
    assert out(Image.new("RGB", (16_383, 1)), {"op": "convert", "format": "webp"}).width == 16_383
    with pytest.raises(pipeline.PipelineRefused, match="webp is at most 16383 px a side, not 16384") as refused:
        out(Image.new("RGB", (16_384, 1)), {"op": "convert", "format": "webp"})
    assert refused.value.code == "output_too_large"


@pytest.mark.parametrize(("background", "expected"), [(None, (255, 255, 255)), ("#0000ff", (0, 0, 255))])
def test_transparency_becomes_the_background_where_the_format_has_none(background, expected):
    convert = {"op": "convert", "format": "jpeg"} | ({"background": background} if background else {})
    image = opened(out(Image.new("RGBA", (16, 16), (255, 0, 0, 0)), convert))
    assert all(abs(a - b) < 6 for a, b in zip(image.getpixel((8, 8)), expected, strict=True))


@pytest.mark.parametrize("name", ["png", "webp", "avif"])
def test_transparency_stays_where_the_format_has_it(name):
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    for operations in ([], [{"op": "compress", "max_bytes": 1_024}]):
        image = opened(out(clear, {"op": "convert", "format": name}, *operations))
        assert image.convert("RGBA").getpixel((8, 8))[3] == 0
