"""Applies the operations that change pixels, in order. The sizes come from geometry, the rest from Pillow."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageColor

from kernel_gateway.reference.pipeline import geometry, watermark
from kernel_gateway.reference.pipeline.colour import Picture
from kernel_gateway.reference.pipeline.limits import PipelineLimits
from kernel_gateway.reference.pipeline.operations import Crop, Operation, Resize, Rotate, Watermark, refusal
from kernel_gateway.reference.pipeline.outcome import PipelineRefused

_TURNS = {  # Pillow counts anticlockwise
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
_FLIPS = {"horizontal": Image.Transpose.FLIP_LEFT_RIGHT, "vertical": Image.Transpose.FLIP_TOP_BOTTOM}
_REDUCING_GAP = 3.0  # shrink by whole pixels first while three times too large: as good to the eye, much faster


def edit(
    picture: Picture, operations: Sequence[Operation], marks: Mapping[str, Image.Image], limits: PipelineLimits
) -> None:
    """Raises PipelineRefused before a picture of too many pixels is made."""
    for number, operation in enumerate(operations, 1):
        try:
            width, height = geometry.size_after(picture.pixels.size, operation)
            if width * height > limits.max_pixels:
                raise PipelineRefused(
                    "output_too_large",
                    f"operation {number} makes {width}x{height}; a picture may have {limits.max_pixels} pixels",
                )
            picture.pixels = _step(picture.pixels, operation, marks)
        except ValueError as error:
            raise refusal(number, type(operation), str(error)) from None


def _step(pixels: Image.Image, operation: Operation, marks: Mapping[str, Image.Image]) -> Image.Image:
    match operation:
        case Resize():
            return _resized(pixels, operation)
        case Crop():
            return pixels.crop(geometry.crop_box(pixels.size, operation))
        case Rotate(degrees=degrees, flip=flip):
            if degrees is not None:
                pixels = pixels.transpose(_TURNS[degrees])
            return pixels.transpose(_FLIPS[flip]) if flip is not None else pixels
        case Watermark():
            watermark.lay(pixels, operation, marks)
            return pixels
        case _:
            return pixels


def _resized(pixels: Image.Image, resize: Resize) -> Image.Image:
    size = geometry.size_after(pixels.size, resize)
    if resize.fit == "cover":
        return scaled(pixels, size, geometry.cover_box(pixels.size, size))
    if resize.fit != "contain":
        return scaled(pixels, size)
    inner = scaled(pixels, geometry.scaled_size(pixels.size, resize))
    if inner.size == size:
        return inner
    corner = ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2)
    if resize.background is None:
        canvas = Image.new("RGBA", size, (0, 0, 0, 0))
        canvas.paste(inner, corner)
        return canvas
    canvas = Image.new(inner.mode, size, ImageColor.getcolor(resize.background, inner.mode))
    canvas.paste(inner, corner)
    return canvas


def scaled(
    pixels: Image.Image, size: geometry.Size, box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    if size == pixels.size and box in (None, (0, 0, *size)):
        return pixels
    return pixels.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=_REDUCING_GAP)
