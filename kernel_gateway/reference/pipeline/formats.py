"""Which formats go in and out, and how to tell them by their bytes and names. Loads no image library."""

from pathlib import PurePath

from kernel_gateway.reference.pipeline.outcome import PipelineRefused

SNIFF_BYTES = 256  # the brands of an AVIF file come after 16 bytes, four bytes each; the others need 16

# Content type -> Pillow's name. The only decoders that ever see a file, each only for bytes with its magic.
INPUTS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
    "image/gif": "GIF",
}

# Content type -> longest side the format, or the encoder of it, takes.
MAX_SIDES = {"image/png": 65_535, "image/jpeg": 65_500, "image/webp": 16_383, "image/avif": 32_768}

_EXTENSIONS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpe": "image/jpeg",
    ".jfif": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
}


def sniff(head: bytes) -> str | None:
    """The content type that the first SNIFF_BYTES bytes prove, or None for anything off the allow-list."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP" and head[12:16] in (b"VP8 ", b"VP8L", b"VP8X"):
        return "image/webp"
    if head[4:8] == b"ftyp" and _names_avif(head):
        return "image/avif"
    return None


def _names_avif(head: bytes) -> bool:
    """Major brand avif or avis, or a general HEIF one with avif among the compatible brands (ISO/IEC 23000-22)."""
    major = head[8:12]
    brands = head[16 : min(int.from_bytes(head[:4], "big"), len(head))]
    compatible = {brands[at : at + 4] for at in range(0, len(brands), 4)}
    return major in (b"avif", b"avis") or (major in (b"mif1", b"msf1") and bool(compatible & {b"avif", b"avis"}))


def type_of_name(filename: str) -> str | None:
    """The content type that a file name's extension claims; None where it claims nothing we know."""
    return _EXTENSIONS.get(PurePath(filename).suffix.lower())


def check_claims(actual: str, declared_type: str | None, filename: str | None) -> None:
    """Raises PipelineRefused where the declared type or a known extension says something else than the bytes."""
    if declared_type is not None:
        declared = declared_type.partition(";")[0].strip().lower()
        if declared != actual:
            raise PipelineRefused("type_mismatch", f"the bytes are {actual}, not the declared `{declared}`; declare it")
    if filename is not None and type_of_name(filename) not in (None, actual):
        extension = PurePath(filename).suffix
        raise PipelineRefused("type_mismatch", f"the bytes are {actual}, not what `{extension}` says; rename the file")
