"""Sizes and boxes of operations in whole pixels. Pure arithmetic: the sizes are known before a pixel is touched."""

from kernel_gateway.reference.pipeline.operations import Crop, Operation, Resize, Rotate

Size = tuple[int, int]
Box = tuple[int, int, int, int]


def size_after(size: Size, operation: Operation) -> Size:
    """The picture's size once the operation ran. Raises ValueError where it does not fit the picture."""
    match operation:
        case Resize(fit="inside"):
            return scaled_size(size, operation)
        case Resize(width=int(width), height=int(height)):
            return width, height
        case Crop():
            left, top, right, bottom = crop_box(size, operation)
            return right - left, bottom - top
        case Rotate(degrees=90 | 270):
            return size[1], size[0]
        case _:
            return size


def scaled_size(size: Size, resize: Resize) -> Size:
    """The largest size within the box, proportions kept; for `inside` and the picture of `contain`."""
    width, height = size
    box_width, box_height = resize.width, resize.height
    if (
        not resize.enlarge
        and (box_width is None or width <= box_width)
        and (box_height is None or height <= box_height)
    ):
        return size
    if box_height is None or (box_width is not None and box_width * height <= box_height * width):
        assert box_width is not None
        return box_width, _share(height, box_width, width)
    return _share(width, box_height, height), box_height


def cover_box(size: Size, target: Size) -> tuple[float, float, float, float]:
    """The centred part of the picture that has the target's proportions and is as large as can be."""
    width, height = size
    kept_width = min(float(width), height * target[0] / target[1])
    kept_height = min(float(height), width * target[1] / target[0])
    left, top = (width - kept_width) / 2, (height - kept_height) / 2
    return left, top, left + kept_width, top + kept_height


def crop_box(size: Size, crop: Crop) -> Box:
    """Raises ValueError where the box leaves the picture."""
    spare_width, spare_height = size[0] - crop.width, size[1] - crop.height
    if crop.x is not None or crop.y is not None:
        left, top = crop.x or 0, crop.y or 0
    else:
        left = {"west": 0, "east": spare_width}.get(crop.gravity, spare_width // 2)
        top = {"north": 0, "south": spare_height}.get(crop.gravity, spare_height // 2)
    if spare_width < 0 or spare_height < 0 or left > spare_width or top > spare_height:
        raise ValueError(
            f"{crop.width}x{crop.height} at {max(left, 0)},{max(top, 0)} leaves the {size[0]}x{size[1]} picture"
        )
    return left, top, left + crop.width, top + crop.height


def mark_corner(size: Size, mark: Size, position: str) -> tuple[int, int]:
    """Where the top left of a watermark that fits the picture goes."""
    margin = min(size) // 50
    return (
        _along(size[0] - mark[0], margin, position.endswith("west"), position.endswith("east")),
        _along(size[1] - mark[1], margin, position.startswith("north"), position.startswith("south")),
    )


def _along(spare: int, margin: int, at_start: bool, at_end: bool) -> int:
    margin = min(margin, spare // 2)
    return margin if at_start else spare - margin if at_end else spare // 2


def _share(side: int, numerator: int, denominator: int) -> int:
    """side * numerator / denominator, rounded half up, at least 1."""
    return max(1, (2 * side * numerator + denominator) // (2 * denominator))
