"""Lays a text or a small picture over a picture. The font is the one inside Pillow (Aileron); no font file is read."""

from collections.abc import Mapping

from PIL import Image, ImageColor, ImageDraw, ImageFont

from kernel_gateway.reference.pipeline import geometry
from kernel_gateway.reference.pipeline.operations import Watermark

_PROBE_SIZE = 64  # font size at which a text is measured before it is drawn to fit
_MISSING = "\uffff"  # a noncharacter, so no font has it: what it draws is the box for missing letters


def lay(pixels: Image.Image, operation: Watermark, marks: Mapping[str, Image.Image]) -> None:
    """Changes `pixels`. Raises ValueError where the mark is unknown or the font lacks a letter."""
    width = max(1, round(pixels.width * operation.scale))
    if operation.text is not None:
        mark = _text(operation.text, operation.color, width, pixels.height)
    elif operation.upload_id is not None and operation.upload_id in marks:
        mark = marks[operation.upload_id]
    else:
        raise ValueError(f"no upload `{operation.upload_id}` to lay over; upload it first")
    height = max(1, round(mark.height * width / mark.width))
    if height > pixels.height:
        width, height = max(1, round(width * pixels.height / height)), pixels.height
    mark = mark.resize((width, height), Image.Resampling.LANCZOS)
    mark.putalpha(mark.getchannel("A").point(lambda alpha: alpha * operation.opacity))
    corner = geometry.mark_corner(pixels.size, mark.size, operation.position)
    if pixels.mode == "RGBA":
        pixels.alpha_composite(mark, corner)
    else:
        pixels.paste(mark, corner, mark)


def _text(text: str, colour: str, width: int, max_height: int) -> Image.Image:
    """The text drawn about as wide as asked, on nothing; the caller scales it the last pixels."""
    probe = ImageFont.load_default(_PROBE_SIZE)
    lacking = next((c for c in text if not c.isspace() and _drawn(probe, c) == _drawn(probe, _MISSING)), None)
    if lacking is not None:
        raise ValueError(f"the font has no letter `{lacking}`; use Western European letters or an image")
    left, top, right, bottom = _bounds(text, probe)
    size = max(1, int(_PROBE_SIZE * min(width / (right - left), max_height / (bottom - top))))
    font = ImageFont.load_default(size)
    left, top, right, bottom = _bounds(text, font)
    mark = Image.new("RGBA", (max(1, right - left), max(1, bottom - top)), (0, 0, 0, 0))
    red, green, blue = ImageColor.getrgb(colour)[:3]
    outline = "#000000" if 299 * red + 587 * green + 114 * blue > 127_500 else "#ffffff"  # BT.601 luma, per thousand
    ImageDraw.Draw(mark).multiline_text(
        (-left, -top), text, fill=colour, font=font, stroke_width=_outline(size), stroke_fill=outline
    )
    return mark


def _bounds(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int, int, int]:
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    size = font.size if isinstance(font, ImageFont.FreeTypeFont) else _PROBE_SIZE
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font, stroke_width=_outline(size))
    return int(left), int(top), int(right) + 1, int(bottom) + 1


def _outline(size: float) -> int:
    return max(1, int(size / 16))


def _drawn(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, letter: str) -> bytes:
    return bytes(font.getmask(letter))
