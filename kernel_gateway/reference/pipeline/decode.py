"""Opens a file that wants to do harm: claims first, then size, then frames, and pixels last. In the worker only."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from kernel_gateway.reference.pipeline import whole
from kernel_gateway.reference.pipeline.formats import INPUTS, SNIFF_BYTES, check_claims, sniff
from kernel_gateway.reference.pipeline.limits import PipelineLimits
from kernel_gateway.reference.pipeline.outcome import PipelineRefused

# Importing these five registers them, so that Pillow does not load its forty others to find one.
DECODERS = (AvifImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin)

# Measured peak of decoding one pixel, in bytes. Pillow keeps a pixel in four; WebP's and AVIF's libraries and a
# progressive JPEG's coefficients come on top.
_BYTES_PER_PIXEL = {"image/png": 4, "image/jpeg": 4, "image/gif": 4, "image/webp": 17, "image/avif": 12}
_PROGRESSIVE_JPEG_BYTES_PER_PIXEL = 10
_INTERPRETER_BYTES = 12 * 1024 * 1024  # Python and Pillow before the first pixel


@dataclass(slots=True)
class Loaded:
    """The first frame, decoded whole, still in the file's own mode and with the file's own metadata."""

    image: Image.Image
    content_type: str


def load(
    path: Path,
    limits: PipelineLimits,
    *,
    max_pixels: int | None = None,
    declared_type: str | None = None,
    filename: str | None = None,
) -> Loaded:
    """Raises PipelineRefused. Of an animation only the first frame is decoded, though all are counted."""
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise PipelineRefused("empty", "the file has 0 bytes; upload the picture before creating a job")
    if size_bytes > limits.max_source_bytes:
        raise PipelineRefused(
            "too_large", f"the file has {size_bytes} bytes; the limit is {limits.max_source_bytes}: send a smaller one"
        )
    with path.open("rb") as file:
        content_type = sniff(file.read(SNIFF_BYTES))
        if content_type is None:
            raise PipelineRefused("unsupported_type", "the file is no png, jpeg, webp, avif or gif; convert it first")
        check_claims(content_type, declared_type, filename)
        ceiling = min(max_pixels or limits.max_pixels, _pixels_in_memory(limits, _BYTES_PER_PIXEL[content_type]))
        try:
            return Loaded(_decoded(file, content_type, ceiling, limits), content_type)
        except (PipelineRefused, MemoryError):
            raise
        except Image.DecompressionBombError:
            raise _too_many_pixels(content_type, ceiling) from None
        except Exception:  # hostile bytes make decoders raise anything, and its text may quote the file
            name = content_type.removeprefix("image/")
            raise PipelineRefused("damaged", f"the {name} file is truncated or corrupt; upload it whole") from None


def _decoded(file: BinaryIO, content_type: str, ceiling: int, limits: PipelineLimits) -> Image.Image:
    frames = 1
    if content_type == "image/png":
        whole.check_png(file)
    elif content_type == "image/gif":
        frames = whole.gif_frames(file, limits.max_frames)
    elif content_type == "image/jpeg" and whole.jpeg_scans(file, limits.max_scans) > limits.max_scans:
        raise PipelineRefused("too_many_scans", f"the jpeg has over {limits.max_scans} scans; save it anew")
    file.seek(0)
    with _strict_pillow(ceiling):
        image = Image.open(file, formats=[INPUTS[content_type]])
        if content_type == "image/jpeg":
            if image.info.get("progressive"):
                ceiling = min(ceiling, _pixels_in_memory(limits, _PROGRESSIVE_JPEG_BYTES_PER_PIXEL))
        elif content_type != "image/gif":  # a JPEG's further pictures (MPO) are previews, never decoded
            frames = getattr(image, "n_frames", 1)
        pixels = image.width * image.height
        if pixels > ceiling:
            raise _too_many_pixels(content_type, ceiling)
        if frames > limits.max_frames:
            raise PipelineRefused("too_many_frames", f"the animation has over {limits.max_frames} frames; send fewer")
        if pixels * frames > limits.max_pixels:
            raise PipelineRefused(
                "too_many_pixels", f"{frames} frames make over {limits.max_pixels} pixels together; send fewer"
            )
        image.load()
    return image


@contextmanager
def _strict_pillow(ceiling: int) -> Iterator[None]:
    """Pillow's module settings for one file: refuse (not warn) past the ceiling, before a decoder sets up its canvas;
    never accept half a picture; one decoder thread, whose memory can be foreseen."""
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, AvifImagePlugin.DEFAULT_MAX_THREADS
    Image.MAX_IMAGE_PIXELS = max(1, ceiling // 2)  # Pillow warns past this figure and refuses past twice of it
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, AvifImagePlugin.DEFAULT_MAX_THREADS = before


def _pixels_in_memory(limits: PipelineLimits, bytes_per_pixel: int) -> int:
    return (limits.decode_memory_bytes - _INTERPRETER_BYTES) // bytes_per_pixel


def _too_many_pixels(content_type: str, ceiling: int) -> PipelineRefused:
    name = content_type.removeprefix("image/")
    return PipelineRefused(
        "too_many_pixels", f"the {name} has over {ceiling} pixels, the most that is decoded; scale it down"
    )
