"""What stands for an image says how to get it again, whatever is done with it."""

import copy
import pickle

import pytest

from kernel_ext.checkpoint.tombstone import Tombstone

PHOTO = Tombstone("image/png", 1234, "blob")


def test_it_says_what_it_was_and_how_to_get_it_again():
    assert repr(PHOTO) == (
        "<image bytes are not kept: image/png, 1234 bytes; call `read()` of its Blob again, "
        "or the tool that returned it>"
    )
    assert (PHOTO.kind, PHOTO.bytes, PHOTO.how) == ("image/png", 1234, "blob")
    assert "ask the camera" in repr(Tombstone("pixels", 1, "ask the camera"))


@pytest.mark.parametrize(
    "use",
    [len, bytes, bool, list, iter, int, lambda it: it[0], lambda it: it + it,
     lambda it: it.size, lambda it: it.save("x"), lambda it: it(), lambda it: 1 in it, lambda it: setattr(it, "a", 1),
     lambda it: it.__enter__()],
)  # fmt: skip
def test_every_use_of_it_says_so(use):
    with pytest.raises(RuntimeError, match="image bytes are not kept: image/png"):
        use(PHOTO)


def test_it_is_pickled_and_copied_as_itself():
    for other in (pickle.loads(pickle.dumps(PHOTO)), copy.copy(PHOTO)):
        assert isinstance(other, Tombstone)
        assert repr(other) == repr(PHOTO)


def test_what_displays_ask_of_every_object_is_not_a_use():
    assert not hasattr(PHOTO, "_repr_png_")
    assert {PHOTO: 1}[PHOTO] == 1
