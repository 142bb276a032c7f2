"""The operations of a job as checked values, and what they say about the output. Pure; loads no image library."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel_gateway.reference.pipeline.outcome import PipelineRefused

MAX_OPERATIONS = 10  # as published in the API's document
MAX_SIDE = 16_384  # as published
MAX_TEXT = 200  # as published
GRAVITIES = ("center", "north", "south", "east", "west")
POSITIONS = ("center", "north_west", "north_east", "south_west", "south_east")
DEFAULT_QUALITY = {"image/jpeg": 85, "image/webp": 80, "image/avif": 65, "image/png": 100}


def _integer(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"`{name}` must be an integer from {low} to {high}")


def _one_of(name: str, value: object, choices: Sequence[object]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(str, choices))}")


def _share(name: str, value: object, low: float) -> None:
    if type(value) not in (int, float) or not low <= value <= 1:  # type: ignore[operator]
        raise ValueError(f"`{name}` must be a number from {low} to 1")


def _truth(name: str, value: object) -> None:
    if type(value) is not bool:
        raise ValueError(f"`{name}` must be true or false")


def _colour(name: str, value: object) -> None:
    if not isinstance(value, str) or not re.fullmatch("#[0-9A-Fa-f]{6}", value):
        raise ValueError(f"`{name}` must be a colour like #ffffff")


@dataclass(frozen=True, slots=True)
class Resize:
    """Scale. The shape of the result, with the picture w x h and the box width x height:

    - `inside`: proportions kept, the largest size within the box; with one side given, that side. Never larger than
      w x h unless `enlarge`.
    - `contain`: as `inside`, then centred on a canvas of exactly the box, filled with `background` or transparent.
    - `cover`: scaled until it fills the box, what stands over is cut at both ends: exactly the box.
    - `fill`: stretched to exactly the box.
    The last three need both sides. A computed side is rounded half up and at least 1.
    """

    width: int | None = None
    height: int | None = None
    fit: str = "inside"
    enlarge: bool = False
    background: str | None = None

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None:
                _integer(name, side, 1, MAX_SIDE)
        _one_of("fit", self.fit, ("contain", "cover", "fill", "inside"))
        _truth("enlarge", self.enlarge)
        if self.background is not None:
            _colour("background", self.background)
        if self.width is None and self.height is None:
            raise ValueError("give `width`, `height` or both")
        if self.fit != "inside" and (self.width is None or self.height is None):
            raise ValueError(f"`{self.fit}` needs both `width` and `height`")


@dataclass(frozen=True, slots=True)
class Crop:
    """Cut out exactly width x height. With `x` or `y`: at that offset from the top left, the absent one being 0.
    Else by `gravity`: centred, or centred along the named side. A box that leaves the picture is refused."""

    width: int
    height: int
    x: int | None = None
    y: int | None = None
    gravity: str = "center"

    def __post_init__(self) -> None:
        _integer("width", self.width, 1, MAX_SIDE)
        _integer("height", self.height, 1, MAX_SIDE)
        for name, offset in (("x", self.x), ("y", self.y)):
            if offset is not None:
                _integer(name, offset, 0, MAX_SIDE - 1)
        _one_of("gravity", self.gravity, GRAVITIES)


@dataclass(frozen=True, slots=True)
class Convert:
    """Set the output format; the last one counts, wherever it stands. `background` is what transparency becomes in
    a format that has none (jpeg), white without it. Without `convert`: the input's format, and PNG for GIF."""

    format: str
    background: str | None = None

    def __post_init__(self) -> None:
        _one_of("format", self.format, ("png", "jpeg", "webp", "avif"))
        if self.background is not None:
            _colour("background", self.background)


@dataclass(frozen=True, slots=True)
class Compress:
    """Encode at `quality`, to at most `max_bytes`, or both; the last one counts, wherever it stands.

    `max_bytes` takes the highest quality that fits, `quality` (or the format's default) being the ceiling. Where the
    lowest does not fit, the picture is scaled down, proportions kept, until it does; under 16 px the job is refused.
    PNG has no quality: alone it is ignored; for `max_bytes` the colours are reduced, from 256 down to 16.
    """

    quality: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.quality is None and self.max_bytes is None:
            raise ValueError("give `quality`, `max_bytes` or both")
        if self.quality is not None:
            _integer("quality", self.quality, 1, 100)
        if self.max_bytes is not None:
            _integer("max_bytes", self.max_bytes, 1024, 50 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Rotate:
    """Turn clockwise by `degrees`, then mirror: `horizontal` swaps left and right, `vertical` top and bottom."""

    degrees: int | None = None
    flip: str | None = None

    def __post_init__(self) -> None:
        if self.degrees is None and self.flip is None:
            raise ValueError("give `degrees`, `flip` or both")
        if self.degrees is not None:
            _one_of("degrees", self.degrees, (90, 180, 270))
        if self.flip is not None:
            _one_of("flip", self.flip, ("horizontal", "vertical"))


@dataclass(frozen=True, slots=True)
class Watermark:
    """Lay a text or another upload over the picture, `scale` of the picture's width wide (less where it would be
    higher than the picture), `opacity` of its own opacity, 2 % of the shorter side from the edges it stands at.
    A text has an outline that contrasts with its colour, so that it can be read on any picture."""

    text: str | None = None
    upload_id: str | None = None
    position: str = "south_east"
    opacity: float = 0.5
    scale: float = 0.25
    color: str = "#ffffff"

    def __post_init__(self) -> None:
        if (self.text is None) == (self.upload_id is None):
            raise ValueError("give exactly one of `text` and `upload_id`")
        if self.text is not None and (
            not isinstance(self.text, str)
            or not self.text.strip()
            or len(self.text) > MAX_TEXT
            or any(not c.isprintable() and c != "\n" for c in self.text)
        ):
            raise ValueError(f"`text` must be 1 to {MAX_TEXT} printable characters")
        if self.upload_id is not None and not isinstance(self.upload_id, str):
            raise ValueError("`upload_id` must be the id of an upload")
        _one_of("position", self.position, POSITIONS)
        _share("opacity", self.opacity, 0)
        _share("scale", self.scale, 0.01)
        _colour("color", self.color)


@dataclass(frozen=True, slots=True)
class StripMetadata:
    """The promise that the output is pixels and nothing else. No output of this pipeline ever carries EXIF, XMP,
    comments, GPS, text or thumbnails, for pictures are encoded anew from their pixels: a location must not leave by
    default. Without this operation a colour profile of RGB pixels goes along byte for byte, and it may hold text of
    anybody's, a location too. This operation converts the pixels to sRGB and leaves the profile out; `keep_icc: true`
    takes that back, for a caller who trusts the profile: it stays byte for byte. Of several such operations one that
    drops the profile wins."""

    keep_icc: bool = False

    def __post_init__(self) -> None:
        _truth("keep_icc", self.keep_icc)


Operation = Resize | Crop | Convert | Compress | Rotate | Watermark | StripMetadata

_KINDS: dict[str, type[Operation]] = {
    "resize": Resize,
    "crop": Crop,
    "convert": Convert,
    "compress": Compress,
    "rotate": Rotate,
    "watermark": Watermark,
    "strip_metadata": StripMetadata,
}


def parse_operations(operations: Sequence[Mapping[str, Any]]) -> tuple[Operation, ...]:
    """The operations as values. Raises PipelineRefused("invalid_operation"), naming the first one that is wrong."""
    if not 1 <= len(operations) <= MAX_OPERATIONS:
        raise PipelineRefused("invalid_operation", f"give 1 to {MAX_OPERATIONS} operations, not {len(operations)}")
    return tuple(_parsed(number, operation) for number, operation in enumerate(operations, 1))


def _parsed(number: int, operation: Mapping[str, Any]) -> Operation:
    name = operation.get("op") if isinstance(operation, Mapping) else None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise PipelineRefused("invalid_operation", f"operation {number}: `op` must be one of {', '.join(_KINDS)}")
    fields = {key: value for key, value in operation.items() if key != "op"}
    unknown = sorted(str(key) for key in fields if key not in kind.__dataclass_fields__)
    if unknown:
        raise refusal(number, kind, f"`{unknown[0]}` is not a field of it")
    try:
        return kind(**fields)
    except TypeError:
        raise refusal(number, kind, "a required field is missing") from None
    except ValueError as error:
        raise refusal(number, kind, str(error)) from None


def refusal(number: int, kind: type[Operation], reason: str) -> PipelineRefused:
    name = next(name for name, each in _KINDS.items() if each is kind)
    return PipelineRefused("invalid_operation", f"operation {number} (`{name}`): {reason}")


@dataclass(frozen=True, slots=True)
class Output:
    """How the result is encoded: what `convert`, `compress` and `strip_metadata` decided together."""

    content_type: str
    quality: int
    max_bytes: int | None
    background: str
    keep_icc: bool


def output_of(operations: Sequence[Operation], input_type: str) -> Output:
    content_type = "image/png" if input_type == "image/gif" else input_type
    background, quality, max_bytes = "#ffffff", None, None
    for operation in operations:
        match operation:
            case Convert():
                content_type, background = f"image/{operation.format}", operation.background or "#ffffff"
            case Compress():
                quality, max_bytes = operation.quality, operation.max_bytes
            case _:
                pass
    keep_icc = all(each.keep_icc for each in operations if isinstance(each, StripMetadata))
    return Output(content_type, quality or DEFAULT_QUALITY[content_type], max_bytes, background, keep_icc)
