"""Operations are checked values, and take exactly what the published document says."""

from pathlib import Path

import pytest
import yaml

import catalog
from kernel_gateway.reference import pipeline
from kernel_gateway.reference.pipeline.operations import _KINDS, GRAVITIES, POSITIONS, output_of

SPEC = yaml.safe_load((Path(catalog.__file__).parent / "specs" / "image_ops.openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = SPEC["components"]["schemas"]


@pytest.mark.parametrize(("op", "reference"), SCHEMAS["Operation"]["discriminator"]["mapping"].items())
def test_every_published_operation_takes_the_published_fields_and_defaults(op, reference):
    schema = SCHEMAS[reference.rpartition("/")[2]]
    fields = _KINDS[op].__dataclass_fields__
    published = {name: each for name, each in schema["properties"].items() if name != "op"}
    assert set(fields) == set(published)
    for name, each in published.items():
        if "default" in each:
            assert fields[name].default == each["default"], name


def test_no_operation_is_unpublished_and_the_choices_are_the_published_ones():
    assert set(_KINDS) == set(SCHEMAS["Operation"]["discriminator"]["mapping"])
    assert list(GRAVITIES) == SCHEMAS["Crop"]["properties"]["gravity"]["enum"]
    assert list(POSITIONS) == SCHEMAS["Watermark"]["properties"]["position"]["enum"]


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({}, "`op` must be one of"),
        ({"op": "blur"}, "`op` must be one of"),
        ({"op": ["resize"]}, "`op` must be one of"),
        ("resize", "`op` must be one of"),
        ({"op": "resize"}, "give `width`, `height` or both"),
        ({"op": "resize", "width": 0}, "from 1 to 16384"),
        ({"op": "resize", "width": 16385}, "from 1 to 16384"),
        ({"op": "resize", "width": True}, "must be an integer"),
        ({"op": "resize", "width": 10.0}, "must be an integer"),
        ({"op": "resize", "width": 10, "fit": "cover"}, "needs both"),
        ({"op": "resize", "width": 10, "fit": "outside"}, "must be one of"),
        ({"op": "resize", "width": 10, "enlarge": 1}, "true or false"),
        ({"op": "resize", "width": 10, "depth": 3}, "`depth` is not a field"),
        ({"op": "resize", "width": 10, "background": "red"}, "a colour like"),
        ({"op": "crop", "width": 10}, "a required field is missing"),
        ({"op": "crop", "width": 10, "height": 10, "x": -1}, "from 0"),
        ({"op": "crop", "width": 10, "height": 10, "gravity": "up"}, "must be one of"),
        ({"op": "convert", "format": "gif"}, "must be one of"),
        ({"op": "convert", "format": ["png"]}, "must be one of"),
        ({"op": "compress"}, "give `quality`, `max_bytes` or both"),
        ({"op": "compress", "quality": 0}, "from 1 to 100"),
        ({"op": "compress", "quality": 101}, "from 1 to 100"),
        ({"op": "compress", "max_bytes": 1023}, "from 1024"),
        ({"op": "rotate"}, "give `degrees`, `flip` or both"),
        ({"op": "rotate", "degrees": 45}, "must be one of 90, 180, 270"),
        ({"op": "rotate", "flip": "both"}, "must be one of"),
        ({"op": "watermark"}, "exactly one of"),
        ({"op": "watermark", "text": "a", "upload_id": "upl_b"}, "exactly one of"),
        ({"op": "watermark", "text": " \n "}, "printable"),
        ({"op": "watermark", "text": "a" * 201}, "1 to 200"),
        ({"op": "watermark", "text": "a\x1b[31m"}, "printable"),
        ({"op": "watermark", "text": "a", "opacity": 1.01}, "from 0 to 1"),
        ({"op": "watermark", "text": "a", "opacity": float("nan")}, "from 0 to 1"),
        ({"op": "watermark", "text": "a", "scale": 0}, "from 0.01 to 1"),
        ({"op": "watermark", "text": "a", "position": "north"}, "must be one of"),
        ({"op": "strip_metadata", "keep_icc": None}, "true or false"),
    ],
)
def test_a_malformed_operation_is_refused_by_number_with_what_would_be_right(operation, words):
    with pytest.raises(pipeline.PipelineRefused) as refused:
        pipeline.parse_operations([{"op": "rotate", "degrees": 90}, operation])
    assert refused.value.code == "invalid_operation"
    assert refused.value.message.startswith("operation 2")
    assert words in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("count", [0, 11])
def test_none_and_eleven_operations_are_refused(count):
    with pytest.raises(pipeline.PipelineRefused, match="give 1 to 10 operations"):
        pipeline.parse_operations([{"op": "rotate", "degrees": 90}] * count)


def test_ten_operations_are_taken():
    assert len(pipeline.parse_operations([{"op": "rotate", "degrees": 90}] * 10)) == 10


def output(*operations, input_type="image/png"):
    return output_of(pipeline.parse_operations(operations), input_type)


def test_the_output_keeps_the_inputs_format_and_gif_becomes_png():
    turn = {"op": "rotate", "degrees": 90}
    assert output(turn, input_type="image/webp").content_type == "image/webp"
    assert output(turn, input_type="image/gif").content_type == "image/png"


def test_the_last_convert_and_the_last_compress_count_wherever_they_stand():
    result = output(
        {"op": "convert", "format": "png", "background": "#000000"},
        {"op": "compress", "quality": 10},
        {"op": "convert", "format": "webp"},
        {"op": "compress", "max_bytes": 2000},
        {"op": "resize", "width": 10},
    )
    assert (result.content_type, result.background, result.quality, result.max_bytes) == (
        "image/webp",
        "#ffffff",
        80,
        2000,
    )


def test_one_strip_without_the_profile_is_enough_to_drop_it():
    keep = {"op": "strip_metadata", "keep_icc": True}
    assert not output(keep, {"op": "strip_metadata"}).keep_icc
    assert not output({"op": "strip_metadata"}).keep_icc
    assert output(keep).keep_icc
    assert output({"op": "rotate", "degrees": 90}).keep_icc
