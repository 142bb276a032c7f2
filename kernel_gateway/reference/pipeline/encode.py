"""Pixels to bytes, once, at the end: at a quality, or under a number of bytes. Writes a colour profile or nothing."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageColor

from kernel_gateway.reference.pipeline.colour import Picture, to_srgb
from kernel_gateway.reference.pipeline.edit import scaled
from kernel_gateway.reference.pipeline.formats import INPUTS, MAX_SIDES
from kernel_gateway.reference.pipeline.limits import PipelineLimits
from kernel_gateway.reference.pipeline.operations import Output
from kernel_gateway.reference.pipeline.outcome import PipelineRefused

_LOWEST_QUALITY = 30  # below it a smaller picture looks better than a worse one
_QUALITY_STEP = 5  # what the eye can tell apart
_PNG_COLOURS = (16, 32, 64, 128, 256)
_LOSSLESS = 100
_SMALLEST_SIDE = 16  # of the longer side; under it there is no picture left
_SETTINGS: dict[str, dict[str, Any]] = {
    "image/png": {},
    "image/jpeg": {"optimize": True, "progressive": True},
    "image/webp": {"method": 4},
    "image/avif": {"speed": 9, "max_threads": 1},  # 1 s of processor time for 12 MP; speed 6 takes 4 s for 20 % less
}


@dataclass(frozen=True, slots=True)
class Encoded:
    data: bytes
    width: int
    height: int


class _Full(Exception):  # noqa: N818 - a signal between the buffer and its user
    """The output went over its limit."""


class _Buffer(io.BytesIO):
    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self._max_bytes:
            raise _Full
        return super().write(data)


def encode(picture: Picture, output: Output, limits: PipelineLimits) -> Encoded:
    """Raises PipelineRefused: output_too_large, max_bytes_unreachable."""
    if not output.keep_icc:
        to_srgb(picture)
    if output.content_type == "image/jpeg" and picture.pixels.mode == "RGBA":
        picture.pixels = _flattened(picture.pixels, output.background)
    name, longest = output.content_type.removeprefix("image/"), max(picture.pixels.size)
    if longest > MAX_SIDES[output.content_type]:
        raise PipelineRefused(
            "output_too_large", f"a {name} is at most {MAX_SIDES[output.content_type]} px a side, not {longest}; resize"
        )
    if output.max_bytes is not None:
        return _within(picture, output, min(output.max_bytes, limits.max_output_bytes))
    quality = _LOSSLESS if output.content_type == "image/png" else output.quality
    try:
        data = _saved(picture.pixels, picture.icc, output.content_type, quality, limits.max_output_bytes)
    except _Full:
        raise PipelineRefused(
            "output_too_large", f"the {name} has over {limits.max_output_bytes} bytes; resize or compress it"
        ) from None
    return Encoded(data, *picture.pixels.size)


def _within(picture: Picture, output: Output, max_bytes: int) -> Encoded:
    """The best that fits: at full size if any quality does, else at a size guessed from the lowest quality's bytes."""
    rungs, pixels = _rungs(output), picture.pixels
    while True:
        smallest = _saved(pixels, picture.icc, output.content_type, rungs[0], None)
        if len(smallest) <= max_bytes:
            data = _highest(pixels, picture.icc, output.content_type, rungs, max_bytes) or smallest
            return Encoded(data, *pixels.size)
        factor = min(0.9, 0.95 * math.sqrt(max_bytes / len(smallest)))
        width, height = (max(1, int(side * factor)) for side in pixels.size)
        if max(width, height) < _SMALLEST_SIDE:
            profile = f", {len(picture.icc)} of them its colour profile (keep_icc)" if picture.icc else ""
            raise PipelineRefused(
                "max_bytes_unreachable",
                f"at {pixels.width}x{pixels.height} and the lowest quality it still has {len(smallest)} bytes{profile};"
                f" ask for more than {max_bytes}",
            )
        pixels = scaled(picture.pixels, (width, height))


def _rungs(output: Output) -> Sequence[int]:
    """What can be tried, smallest output first."""
    if output.content_type == "image/png":
        return (*_PNG_COLOURS, _LOSSLESS)
    return [*range(min(_LOWEST_QUALITY, output.quality), output.quality, _QUALITY_STEP), output.quality]


def _highest(
    pixels: Image.Image, icc: bytes | None, content_type: str, rungs: Sequence[int], max_bytes: int
) -> bytes | None:
    """The output at the highest rung that fits, found by halving, the top one first: it often fits."""
    best, low, high = None, 1, len(rungs) - 1
    middle = high
    while low <= high:
        try:
            best, low = _saved(pixels, icc, content_type, rungs[middle], max_bytes), middle + 1
        except _Full:
            high = middle - 1
        middle = (low + high) // 2
    return best


def _saved(pixels: Image.Image, icc: bytes | None, content_type: str, rung: int, max_bytes: int | None) -> bytes:
    buffer = io.BytesIO() if max_bytes is None else _Buffer(max_bytes)
    options = dict(_SETTINGS[content_type])
    if content_type != "image/png":
        options["quality"] = rung
    elif rung in _PNG_COLOURS:
        pixels = pixels.quantize(rung, method=Image.Quantize.FASTOCTREE)  # median cut takes 20 times as long
    if icc is not None:
        options["icc_profile"] = icc
    try:
        pixels.save(buffer, INPUTS[content_type], **options)
    except (OSError, RuntimeError) as error:  # the pixels are ours and sound: what an encoder lacks is memory
        raise MemoryError from error
    return buffer.getvalue()


def _flattened(pixels: Image.Image, background: str) -> Image.Image:
    canvas = Image.new("RGB", pixels.size, ImageColor.getrgb(background))
    canvas.paste(pixels, mask=pixels.getchannel("A"))
    return canvas
