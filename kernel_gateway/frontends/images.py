"""Pictures for the answer: recognised by their bytes, verified, made smaller where one event could not carry them.

Nothing is written anywhere. A picture comes from a kernel, so it is hostile input: only three decoders are tried,
the size in the header is checked before anything is decoded, and one picture is decoded at a time.
"""

import asyncio
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image as Pillow
from PIL import ImageOps

from kernel_gateway.frontends.mcp_settings import McpSettings
from kernel_gateway.frontends.shares import shares
from kernel_gateway.sessions.result import Image

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_SCANS = 64  # of a JPEG; a progressive one has about ten, and each costs a pass over all pixels
_JSON_BYTES = 128  # of one image block beside its base64
_SMALLEST_SIDE = 48  # below it a picture says nothing any more
_STEP = 0.75  # between two attempts to fit
_QUALITY = 85


class PictureError(Exception):
    """This picture cannot be shown: a few words on why, without its content."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The pictures that go out, and one line for each that was changed or left out."""

    images: tuple[Image, ...]
    notes: tuple[str, ...]


def recognise(data: bytes) -> str | None:
    """The media type that the first bytes prove, of the three that may leave; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None


class Pictures:
    """Prepares the pictures of one answer after the other, off the event loop."""

    def __init__(self, settings: McpSettings) -> None:
        self._settings = settings
        self._one_at_a_time = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    def __repr__(self) -> str:
        return f"<Pictures at most {self._settings.max_images}>"

    async def show(self, images: Sequence[Image], room_bytes: int) -> Shown:
        """As many of `images` as are allowed; base64 and JSON of all of them take at most `room_bytes`."""
        loop = asyncio.get_running_loop()
        chosen = images[: self._settings.max_images]
        wants = [_encoded_bytes(len(image.data)) for image in chosen]
        shown, notes = [], []
        for number, (image, room) in enumerate(zip(chosen, shares(wants, room_bytes), strict=True), start=1):
            try:
                fitted, change = await loop.run_in_executor(
                    self._one_at_a_time, fit, image.data, (room - _JSON_BYTES) // 4 * 3, self._settings
                )
            except PictureError as error:
                notes.append(f"image {number} was left out: {error}")
            else:
                shown.append(fitted)
                notes += [f"image {number} was {change}"] if change else []
        if left := len(images) - len(chosen):
            notes.append(f"{left} {'image' if left == 1 else 'images'} left out (limit {len(chosen)})")
        return Shown(tuple(shown), tuple(notes))


def _encoded_bytes(size: int) -> int:
    return (size + 2) // 3 * 4 + _JSON_BYTES


def fit(data: bytes, max_bytes: int, settings: McpSettings) -> tuple[Image, str]:
    """`data` as it is where it is sound and fits, else a smaller one and what was done to it. Raises PictureError."""
    mime = recognise(data)
    if mime is None:
        raise PictureError("not a png, jpeg or webp")
    if mime == "image/jpeg" and data.count(b"\xff\xda") > MAX_SCANS:
        raise PictureError(f"it has more than {MAX_SCANS} scans")
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > settings.max_image_pixels:
                raise PictureError(f"it is more than {settings.max_image_pixels} pixels")
            # A JPEG decodes at an eighth to a half of its size for less memory; the other formats ignore this.
            picture.draft("RGB", (settings.max_image_side, settings.max_image_side))
            picture.load()
            if len(data) <= max_bytes:
                return Image(mime, data), ""
            image, size = _shrink(ImageOps.exif_transpose(picture), max_bytes, settings.max_image_side)
    except PictureError:
        raise
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise PictureError(f"it is more than {settings.max_image_pixels} pixels") from error
    except Exception as error:
        # Decoders raise a dozen kinds of exception on bad bytes; whichever it is, the picture is broken.
        raise PictureError("it is broken") from error
    if sorted(size) == sorted((width, height)):  # in either order: it may have been turned upright
        return image, f"re-encoded to fit, from {len(data)} to {len(image.data)} bytes"
    return image, f"made smaller to fit, from {width}x{height} ({len(data)} bytes) to {size[0]}x{size[1]}"


def _shrink(picture: Pillow.Image, max_bytes: int, max_side: int) -> tuple[Image, tuple[int, int]]:
    transparent = picture.has_transparency_data
    picture = picture.convert("RGBA" if transparent else "RGB")
    mime, format_, options = ("image/webp", "WEBP", {"method": 2}) if transparent else ("image/jpeg", "JPEG", {})
    side = min(max_side, max(picture.size))
    while True:
        picture.thumbnail((side, side))
        encoded = io.BytesIO()
        picture.save(encoded, format_, quality=_QUALITY, **options)
        if encoded.tell() <= max_bytes:
            return Image(mime, encoded.getvalue()), picture.size
        side = int(side * _STEP)
        if side < _SMALLEST_SIDE:
            raise PictureError("it does not fit beside the rest of the answer")
