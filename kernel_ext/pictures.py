"""Pictures no larger than anybody gets to see. Imports Pillow only once a cell has a picture to show."""

import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE = 2048  # the gateway sends no larger picture to a model; encoding more only costs the cell its time
_STEPS = ((LONGEST_SIDE, "PNG"), (LONGEST_SIDE, "JPEG"), (LONGEST_SIDE // 2, "JPEG"))  # even noise fits the last
_NOT_IN_PNG = frozenset({"CMYK", "HSV", "RGBX", "YCbCr"})
_PALETTES = frozenset({"1", "P", "PA"})  # resized as they are, they would look torn


def register(shell: Any) -> None:
    """Shows a Pillow image once, as PNG; by itself it would be encoded as PNG and again as JPEG, in full size."""
    formatters = shell.display_formatter.formatters
    formatters["image/png"].for_type_by_name("PIL.Image", "Image", png)
    formatters["image/jpeg"].for_type_by_name("PIL.Image", "Image", lambda image: None)


def png(image: "Image") -> bytes | None:
    """`image` as PNG, made smaller where it is large; None where it cannot be, as Pillow's own formatter has it."""
    try:
        return _encoded(_within(image, LONGEST_SIDE), "PNG")
    except Exception:
        return None


def smaller(data: bytes, room_bytes: int) -> tuple[str, bytes] | None:
    """The picture in `data` as a type and at most so many bytes; None where Pillow cannot read it."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of very many pixels: that is why it is made smaller
            image: Image.Image = Image.open(io.BytesIO(data))
            steps = _STEPS if image.format == "PNG" else _STEPS[1:]
            for side, kind in steps:
                image = _within(image, side)
                encoded = _encoded(image, kind)
                if len(encoded) <= room_bytes:
                    return f"image/{kind.lower()}", encoded
    except Exception:  # a decoder may raise nearly anything
        return None
    return None


def _within(image: "Image", side: int) -> "Image":
    """`image` itself where it fits, else a smaller copy."""
    scale = side / max(image.size)
    if scale >= 1:
        return image
    if image.mode in _PALETTES:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    width, height = (max(1, round(length * scale)) for length in image.size)
    return image.resize((width, height), reducing_gap=2.0)


def _encoded(image: "Image", kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "JPEG":
        _opaque(image).save(buffer, kind, quality=85)
    else:
        plain = image.convert("RGB") if image.mode in _NOT_IN_PNG else image
        plain.save(buffer, kind, compress_level=1)  # a quarter of the time of the default, and a little larger
    return buffer.getvalue()


def _opaque(image: "Image") -> "Image":
    """On white, as a notebook shows it."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    from PIL import Image

    image = image.convert("RGBA")
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image.getchannel("A"))
    return page
