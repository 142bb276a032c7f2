"""What stands in restored state for an image, whose bytes are never kept."""

from typing import Any, Final, NoReturn

_WAYS: Final = {
    "blob": "call `read()` of its Blob again, or the tool that returned it",
    "decoded": "decode it again from its Blob",
    "made": "run the cell that made it again",
}


class Tombstone:
    """`kind` is what it was (a media type, "PIL.Image", "pixels"), `bytes` its size; `how` it is to be had again:
    "blob" (read from a Blob), "decoded" (decoded from one), "made" (by a cell), or words of its own.

    Every use raises RuntimeError, which says so; only looking at it, asking for its type and pickling it do not.
    """

    __slots__ = ("bytes", "how", "kind")
    kind: str
    bytes: int
    how: str

    def __init__(self, kind: str, bytes: int, how: str) -> None:  # noqa: A002 -- the name in the manifest
        for name, value in (("kind", kind), ("bytes", bytes), ("how", how)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<image bytes are not kept: {self.kind}, {self.bytes} bytes; {_WAYS.get(self.how, self.how)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Tombstone, (self.kind, self.bytes, self.how)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # what libraries and displays ask of every object
            raise AttributeError(name)
        _refuse(self)


def _refuse(tombstone: Tombstone, *_: Any, **__: Any) -> NoReturn:
    __tracebackhide__ = True
    raise RuntimeError(repr(tombstone)[1:-1])


_USES: Final = """
    bool len iter next contains getitem setitem delitem call enter exit await aiter int float index bytes complex
    add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow and rand or ror xor rxor matmul
    rmatmul lshift rlshift rshift rrshift neg pos abs invert lt le gt ge array buffer fspath setattr delattr
""".split()  # noqa: SIM905 -- a page of words reads better as words
for _use in _USES:
    setattr(Tombstone, f"__{_use}__", _refuse)
