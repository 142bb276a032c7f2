"""From a decoded file to plain upright RGB or RGBA pixels and, apart from them, a colour profile that fits them."""

import io
from dataclasses import dataclass

from PIL import Image, ImageCms

from kernel_gateway.reference.pipeline.decode import Loaded

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MAX_PROFILE_BYTES = 1024 * 1024  # the largest printer profiles; a camera's or a display's is under 50 KB


@dataclass(slots=True)
class Picture:
    """Mode RGB, or RGBA where the file has transparency; no metadata. Mutable, so that a step frees its input."""

    pixels: Image.Image
    icc: bytes | None


def normalise(loaded: Loaded) -> Picture:
    """EXIF orientation (or AVIF's irot and imir) applied, then the mode, then nothing of the file but its profile.

    A profile is kept only where it describes RGB pixels. CMYK and grey pixels with a profile are converted to sRGB
    through it; a profile that the colour engine cannot read is dropped.
    """
    image = loaded.image
    upright = _UPRIGHT.get(_orientation(image))
    icc, space = _profile(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling
        image, mode = image.point(lambda value: value / 257).convert("L"), "RGB"
    pixels = None
    if icc is not None and (space, image.mode) in (("CMYK", "CMYK"), ("GRAY", "L")) and mode == "RGB":
        pixels = _through_profile(image, icc)
    if space != "RGB" or image.mode not in ("RGB", "RGBA", "P"):
        icc = None
    if pixels is None:
        pixels = image.convert(mode)
    pixels.info = {}  # Pillow carries comments and profiles along here and would write them
    return Picture(pixels.transpose(upright) if upright is not None else pixels, icc)


def to_srgb(picture: Picture) -> None:
    """Gives up the profile without a change of the visible colours."""
    if picture.icc is not None:
        picture.pixels = _through_profile(picture.pixels, picture.icc) or picture.pixels
        picture.pixels.info = {}
        picture.icc = None


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF is somebody's unchecked TIFF file; a broken one turns nothing
        return 1


def _profile(image: Image.Image) -> tuple[bytes | None, str]:
    icc = image.info.get("icc_profile")
    if not isinstance(icc, bytes) or not 0 < len(icc) <= _MAX_PROFILE_BYTES:
        return None, ""
    try:
        return icc, ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space.strip()
    except (OSError, ImageCms.PyCMSError):
        return None, ""


def _through_profile(image: Image.Image, icc: bytes) -> Image.Image | None:
    mode = image.mode if image.mode in ("RGB", "RGBA") else "RGB"
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    target = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        return ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, ValueError):
        return None
