"""The operations on pixels: sizes exactly as documented, pixels where they belong."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from kernel_gateway.reference import pipeline
from kernel_gateway.reference.pipeline.colour import Picture
from kernel_gateway.reference.pipeline.edit import edit

LIMITS = pipeline.PipelineLimits()
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(width: int = 40, height: int = 20) -> Image.Image:
    """Red, green over blue, white: every turn and mirror of it differs."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(WHITE, (width // 2, height // 2, width, height))
    return image


def edited(image: Image.Image, *operations, marks=None) -> Image.Image:
    picture = Picture(image.copy(), None)
    edit(picture, pipeline.parse_operations(operations), marks or {}, LIMITS)
    return picture.pixels


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    right, bottom = image.width - 2, image.height - 2
    return [image.getpixel(at) for at in ((1, 1), (right, 1), (1, bottom), (right, bottom))]


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"width": 20}, (20, 10)),
        ({"height": 5}, (10, 5)),
        ({"width": 20, "height": 20}, (20, 10)),
        ({"width": 33, "height": 7}, (14, 7)),
        ({"width": 80}, (40, 20)),
        ({"width": 80, "enlarge": True}, (80, 40)),
        ({"width": 80, "height": 10}, (20, 10)),
        ({"width": 1}, (1, 1)),
        ({"width": 30, "height": 30, "fit": "contain"}, (30, 30)),
        ({"width": 60, "height": 50, "fit": "contain"}, (60, 50)),
        ({"width": 30, "height": 30, "fit": "cover"}, (30, 30)),
        ({"width": 60, "height": 90, "fit": "cover"}, (60, 90)),
        ({"width": 7, "height": 50, "fit": "fill"}, (7, 50)),
    ],
)
def test_a_resize_has_the_documented_size(fields, size):
    assert edited(quarters(), {"op": "resize", **fields}).size == size


def test_cover_cuts_both_ends_equally():
    result = edited(quarters(), {"op": "resize", "width": 20, "height": 20, "fit": "cover"})
    assert corners(result) == [RED, GREEN, BLUE, WHITE]


def test_contain_letterboxes_transparently_or_in_the_given_colour():
    box = {"op": "resize", "width": 40, "height": 40, "fit": "contain"}
    clear = edited(quarters(), box)
    assert clear.mode == "RGBA"
    assert clear.getpixel((20, 2))[3] == clear.getpixel((20, 37))[3] == 0
    assert clear.getpixel((2, 12)) == (*RED, 255)
    black = edited(quarters(), box | {"background": "#000000"})
    assert (black.mode, black.getpixel((20, 2)), black.getpixel((2, 12))) == ("RGB", (0, 0, 0), RED)


def test_contain_enlarges_the_picture_only_when_told():
    box = {"op": "resize", "width": 80, "height": 80, "fit": "contain"}
    assert edited(quarters(), box).getpixel((2, 40))[3] == 0
    assert edited(quarters(), box | {"enlarge": True}).getpixel((2, 30)) == (*RED, 255)


@pytest.mark.parametrize(
    ("fields", "colour"),
    [
        ({"x": 0, "y": 0}, RED),
        ({"x": 30}, GREEN),
        ({"y": 10}, BLUE),
        ({"x": 30, "y": 10, "gravity": "north"}, WHITE),
    ],
)
def test_a_crop_takes_the_box_at_its_offset(fields, colour):
    result = edited(quarters(), {"op": "crop", "width": 10, "height": 10, **fields})
    assert result.size == (10, 10)
    assert set(corners(result)) == {colour}


@pytest.mark.parametrize(
    ("gravity", "expected"),
    [
        ("center", [RED, GREEN, BLUE, WHITE]),
        ("north", [RED, GREEN, RED, GREEN]),
        ("south", [BLUE, WHITE, BLUE, WHITE]),
        ("west", [RED, RED, BLUE, BLUE]),
        ("east", [GREEN, GREEN, WHITE, WHITE]),
    ],
)
def test_gravity_places_a_crop(gravity, expected):
    assert corners(edited(quarters(), {"op": "crop", "width": 10, "height": 10, "gravity": gravity})) == expected


@pytest.mark.parametrize("fields", [{"width": 41}, {"height": 21}, {"x": 31}, {"y": 11}])
def test_a_crop_that_leaves_the_picture_is_refused_with_both_sizes(fields):
    with pytest.raises(pipeline.PipelineRefused, match=r"operation 1 \(`crop`\): .* leaves the 40x20 picture"):
        edited(quarters(), {"op": "crop", "width": 10, "height": 10} | fields)


def test_a_crop_of_the_whole_picture_is_the_picture():
    assert edited(quarters(), {"op": "crop", "width": 40, "height": 20}).tobytes() == quarters().tobytes()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"degrees": 90}, [BLUE, RED, WHITE, GREEN]),
        ({"degrees": 180}, [WHITE, BLUE, GREEN, RED]),
        ({"degrees": 270}, [GREEN, WHITE, RED, BLUE]),
        ({"flip": "horizontal"}, [GREEN, RED, WHITE, BLUE]),
        ({"flip": "vertical"}, [BLUE, WHITE, RED, GREEN]),
        ({"degrees": 90, "flip": "horizontal"}, [RED, BLUE, GREEN, WHITE]),
    ],
)
def test_turns_go_clockwise_and_come_before_the_mirror(fields, expected):
    assert corners(edited(quarters(), {"op": "rotate", **fields})) == expected


def test_operations_run_in_the_order_given():
    cut, turn = {"op": "crop", "width": 20, "height": 10, "x": 20, "y": 0}, {"op": "rotate", "degrees": 180}
    assert set(corners(edited(quarters(), cut, turn))) == {GREEN}
    assert set(corners(edited(quarters(), turn, cut))) == {BLUE}


def test_a_step_that_would_make_too_many_pixels_is_refused_before_it_is_made():
    huge = {"op": "resize", "width": 16384, "height": 16384, "fit": "fill"}
    with pytest.raises(pipeline.PipelineRefused) as refused:
        edited(quarters(), huge)
    assert refused.value.code == "output_too_large"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize(
    ("position", "box"),
    [
        ("north_west", (8, 8, 108, 58)),
        ("north_east", (292, 8, 392, 58)),
        ("south_west", (8, 342, 108, 392)),
        ("south_east", (292, 342, 392, 392)),
        ("center", (150, 175, 250, 225)),
    ],
)
def test_an_image_watermark_has_its_share_of_the_width_and_stands_where_told(mode, position, box):
    base = Image.new("RGBA", (400, 400), (0, 0, 0, 255)).convert(mode)
    marks = {"upl_logo": Image.new("RGBA", (10, 5), (255, 255, 255, 255))}
    result = edited(base, {"op": "watermark", "upload_id": "upl_logo", "position": position, "opacity": 1}, marks=marks)
    assert result.convert("L").point(lambda value: value > 127 and 255).getbbox() == box


def test_opacity_is_how_much_of_the_watermark_shows():
    marks = {"upl_logo": Image.new("RGBA", (4, 4), (255, 255, 255, 255))}
    mark = {"op": "watermark", "upload_id": "upl_logo", "position": "center"}
    base = Image.new("RGB", (100, 100))
    shown = [edited(base, mark | {"opacity": opacity}, marks=marks).getpixel((50, 50))[0] for opacity in (0, 0.5, 1)]
    assert shown[0] == 0
    assert 125 <= shown[1] <= 129
    assert shown[2] == 255


def test_a_text_watermark_is_drawn_in_its_colour_within_its_share():
    base = Image.new("RGB", (800, 400), (0, 0, 255))
    result = edited(base, {"op": "watermark", "text": "© kernel", "color": "#ff0000", "opacity": 1, "scale": 0.5})
    colours = {colour for _, colour in result.getcolors(1 << 20)}
    assert {(0, 0, 255), (255, 0, 0)} <= colours
    left, top, right, bottom = (value for value in _changed(base, result))
    assert 350 <= right - left <= 400
    assert (right, bottom) <= (792, 392)
    assert top >= 200


def _changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int]:
    box = ImageChops.difference(before, after).getbbox()
    assert box is not None
    return box


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
@pytest.mark.parametrize("text", ["i", "two\nlines", "W" * 200])
def test_a_text_watermark_fits_any_picture(size, text):
    assert edited(Image.new("RGB", size), {"op": "watermark", "text": text, "scale": 1}).size == size


def test_a_letter_the_font_lacks_is_named_instead_of_drawn_as_a_box():
    with pytest.raises(pipeline.PipelineRefused, match="no letter `日`"):
        edited(quarters(), {"op": "watermark", "text": "a日"})


def test_a_watermark_that_was_never_uploaded_is_refused():
    with pytest.raises(pipeline.PipelineRefused, match="no upload `upl_gone`"):
        edited(quarters(), {"op": "watermark", "upload_id": "upl_gone"})


SIDES = st.integers(1, 60)
RESIZES = st.one_of(
    st.fixed_dictionaries(
        {"op": st.just("resize"), "width": SIDES, "height": SIDES},
        optional={"fit": st.sampled_from(["contain", "cover", "fill", "inside"]), "enlarge": st.booleans()},
    ),
    st.fixed_dictionaries({"op": st.just("resize"), "width": SIDES}, optional={"enlarge": st.booleans()}),
    st.fixed_dictionaries({"op": st.just("resize"), "height": SIDES}, optional={"enlarge": st.booleans()}),
)
TURNS = st.fixed_dictionaries(
    {"op": st.just("rotate"), "degrees": st.sampled_from([90, 180, 270])},
    optional={"flip": st.sampled_from(["horizontal", "vertical"])},
)
CROPS = st.fixed_dictionaries(
    {"op": st.just("crop"), "width": SIDES, "height": SIDES},
    optional={"x": st.integers(0, 59), "y": st.integers(0, 59), "gravity": st.sampled_from(["center", "east"])},
)
MARKS = st.fixed_dictionaries({"op": st.just("watermark"), "text": st.just("ok")})


def rounded(value: Fraction) -> int:
    return max(1, floor(value + Fraction(1, 2)))


def expected_size(size: tuple[int, int], operation: dict) -> tuple[int, int] | None:
    """The documented rules once more, in exact fractions. None: the operation does not fit the picture."""
    width, height = size
    match operation["op"]:
        case "resize" if operation.get("fit", "inside") == "inside":
            scales = [
                Fraction(operation[name], side)
                for name, side in (("width", width), ("height", height))
                if name in operation
            ]
            scale = min(scales)
            if scale > 1 and not operation.get("enlarge", False):
                scale = Fraction(1)
            return rounded(width * scale), rounded(height * scale)
        case "resize":
            return operation["width"], operation["height"]
        case "crop":
            fits = all(
                operation[name] + (operation.get(offset, 0)) <= side
                for name, offset, side in (("width", "x", width), ("height", "y", height))
            )
            return (operation["width"], operation["height"]) if fits else None
        case "rotate" if operation["degrees"] != 180:
            return height, width
        case _:
            return size


@settings(max_examples=150, deadline=None)
@given(
    width=SIDES,
    height=SIDES,
    mode=st.sampled_from(["RGB", "RGBA"]),
    operations=st.lists(st.one_of(RESIZES, TURNS, CROPS, MARKS), min_size=1, max_size=10),
)
def test_any_list_of_operations_gives_the_documented_size_or_names_the_one_that_does_not_fit(
    width, height, mode, operations
):
    size: tuple[int, int] | None = (width, height)
    for number, operation in enumerate(operations, 1):
        size = expected_size(size, operation)
        if size is None:
            with pytest.raises(pipeline.PipelineRefused, match=rf"operation {number} \(`crop`\)"):
                edited(Image.new(mode, (width, height)), *operations)
            return
    assert edited(Image.new(mode, (width, height)), *operations).size == size
