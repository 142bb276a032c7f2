"""What a kernel sends by itself is bounded: text keeps head and tail, pictures get smaller, the rest is named."""

import base64
import io
import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kernel_ext.bounds import OUTPUT, REPLY, bounded, cut
from kernel_ext.pictures import LONGEST_SIDE, png, smaller
from kernel_gateway.kernels.settings import KernelSettings


def noise(width, height, mode="RGB"):
    return Image.frombytes(mode, (width, height), random.Random(0).randbytes(width * height * len(mode)))


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def decoded(data):
    return Image.open(io.BytesIO(data))


def test_a_text_up_to_the_limit_stays_as_it_is_and_a_longer_one_keeps_head_and_tail():
    whole = {"name": "stdout", "text": "x" * OUTPUT.text}
    assert bounded("stream", whole) is whole
    text = bounded("stream", {"name": "stdout", "text": "head" + "x" * OUTPUT.text + "tail"})["text"]
    assert text.startswith("head")
    assert text.endswith("tail")
    assert "\n[... 8 characters left out ...]\n" in text


@given(st.text(max_size=40), st.integers(2, 20))
def test_what_is_left_of_a_text_and_what_is_counted_are_the_whole_of_it(text, room):
    shown = cut(text, room)
    if len(text) <= room:
        assert shown == text
    else:
        left_out = int(re.search(r"\[\.\.\. (\d+) characters left out", shown[room // 2 :])[1])
        assert shown.startswith(text[: room // 2])
        assert shown.endswith(text[-(room // 2) :])
        assert left_out + 2 * (room // 2) == len(text)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("status", {"execution_state": "idle"}),
        ("stream", {"name": "stdout", "text": "hi"}),
        ("execute_result", {"data": {"text/plain": "2"}, "metadata": {}, "execution_count": 1}),
        ("display_data", {"data": {"image/png": b"\x89PNG", "text/plain": "x"}, "metadata": {}, "transient": {}}),
        ("error", {"ename": "E", "evalue": "v", "traceback": ["a", "b"]}),
        ("comm_msg", {"data": "x" * 100}),
        ("display_data", b"packed already"),
        ("display_data", {"data": "not a bundle"}),
    ],
)
def test_small_content_is_passed_on_untouched(kind, content):
    assert bounded(kind, content) is content


def test_the_content_that_is_given_is_never_changed():
    content = {"data": {"text/html": "x" * (OUTPUT.other + 1), "text/plain": "hi"}, "metadata": {}}
    bounded("display_data", content)
    assert list(content["data"]) == ["text/html", "text/plain"]


@pytest.mark.parametrize(("kind", "room"), [("error", OUTPUT), ("execute_reply", REPLY)])
def test_the_traceback_and_the_value_of_an_error_are_bounded(kind, room):
    content = {"status": "error", "ename": "E", "evalue": "v" * 3_000_000, "traceback": ["first", "x" * 3_000_000]}
    shown = bounded(kind, content)
    assert shown["traceback"][0].startswith("first")
    assert len(json.dumps(shown)) < 2 * room.text + 1000


def test_pages_of_a_reply_are_bounded():
    page = {"source": "page", "data": {"text/plain": "x" * 3_000_000, "text/html": "x" * 3_000_000}, "start": 0}
    reply = {"status": "error", "evalue": "\0" * 3_000_000, "traceback": ["\0" * 3_000_000], "payload": [page]}
    shown = bounded("execute_reply", reply)
    assert "[text/html of 3.0 MB left out" in shown["payload"][0]["data"]["text/plain"]
    assert len(json.dumps(shown)) < KernelSettings().max_reply_bytes


def test_the_largest_output_of_ordinary_text_is_one_message_that_the_gateway_takes():
    data = {"text/plain": "\u732b" * 9_000_000, "text/html": "\u732b" * OUTPUT.other, "image/png": "A" * OUTPUT.picture}
    shown = bounded("display_data", {"data": data, "metadata": {}})
    assert set(shown["data"]) == set(data)
    assert len(json.dumps(shown, ensure_ascii=False).encode()) < KernelSettings().max_message_bytes


@pytest.mark.parametrize(("length", "kept"), [(OUTPUT.other, True), (OUTPUT.other + 1, False)])
def test_what_is_neither_text_nor_picture_is_whole_or_named(length, kept):
    data = {"text/html": "x" * length, "text/plain": "<HTML>"}
    shown = bounded("display_data", {"data": data, "metadata": {}})["data"]
    assert ("text/html" in shown) is kept
    assert ("[text/html of 0.5 MB left out: too large to show]" in shown["text/plain"]) is not kept


def test_svg_and_json_and_metadata_are_measured_too():
    big = "x" * (OUTPUT.other + 1)
    content = {"data": {"image/svg+xml": big, "application/json": {"a": [big]}}, "metadata": {"note": big}}
    shown = bounded("display_data", content)
    assert list(shown["data"]) == ["text/plain"]
    assert shown["data"]["text/plain"].count("left out") == 3
    assert shown["metadata"] == {}


@pytest.mark.parametrize("form", [bytes, lambda data: base64.b64encode(data).decode()], ids=["bytes", "base64"])
def test_a_picture_beyond_the_limit_is_made_smaller_with_a_note(form):
    picture = form(encoded(noise(2400, 1200), "PNG"))
    content = {"data": {"image/png": picture, "text/plain": "<picture>"}, "metadata": {}}
    shown = bounded("display_data", content)["data"]
    image = decoded(base64.b64decode(shown["image/jpeg"]))
    assert len(shown["image/jpeg"]) <= OUTPUT.picture
    assert image.size == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert "image/png" not in shown
    assert shown["text/plain"].startswith("<picture>\n[image/png of ")
    assert shown["text/plain"].endswith(" MB was made smaller]")


@pytest.mark.parametrize(("length", "kept"), [(OUTPUT.picture, True), (OUTPUT.picture + 1, False)])
def test_the_picture_limit_holds_on_both_sides(length, kept):
    shown = bounded("display_data", {"data": {"image/png": "A" * length}, "metadata": {}})["data"]
    assert ("image/png" in shown) is kept
    assert ("[image/png of 4.2 MB left out" in shown.get("text/plain", "")) is not kept


def test_pictures_of_one_output_share_the_limit():
    half = "A" * (OUTPUT.picture // 2)
    data = {"image/png": half, "image/jpeg": half, "image/webp": half}
    shown = bounded("display_data", {"data": data, "metadata": {}})["data"]
    assert list(shown) == ["image/png", "image/jpeg", "text/plain"]


def test_one_that_only_has_too_many_pixels_to_be_small_stays_png():
    data = encoded(Image.new("RGB", (4000, 100), "red"), "PNG")
    kind, picture = smaller(data, 100_000)
    assert (kind, decoded(picture).size) == ("image/png", (LONGEST_SIDE, 51))


def test_even_noise_fits_in_the_end_and_transparency_becomes_white():
    kind, picture = smaller(encoded(noise(2048, 2048, "RGBA"), "PNG"), OUTPUT.picture // 4)
    assert kind == "image/jpeg"
    assert max(decoded(picture).size) == LONGEST_SIDE // 2
    clear = encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "WEBP")
    assert decoded(smaller(clear, 10_000)[1]).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(50), b"GIF89a"])
def test_what_pillow_cannot_read_is_none(data):
    assert smaller(data, 10_000) is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK", "YCbCr", "HSV"])
@pytest.mark.parametrize(("width", "shown"), [(LONGEST_SIDE, LONGEST_SIDE), (LONGEST_SIDE + 1, LONGEST_SIDE)])
def test_an_image_of_any_usual_mode_is_shown_as_png_of_at_most_the_longest_side(mode, width, shown):
    image = Image.new(mode, (width, 4))
    assert decoded(png(image)).size == (shown, 4)
    assert image.size == (width, 4), "the cell's own image stays as it is"


def test_an_image_that_is_no_picture_is_shown_as_text_alone():
    assert png(Image.new("F", (4, 4))) is None
