"""What the fuzzer has to find, each behind the same three bytes: proof that it looks where it should."""

from typing import NoReturn

_kept: list[bytes] = []


def crash(data: bytes) -> None:
    if _is_found(data):
        raise AssertionError("found")


def hang(data: bytes) -> None:
    if _is_found(data):
        _never_end()


def greed(data: bytes) -> None:
    while _is_found(data):
        _kept.append(b"x" * 1_000_000)


def _never_end() -> NoReturn:
    while True:
        pass


def _is_found(data: bytes) -> bool:
    for at, byte in enumerate((0x5A, 0x4D, 0x54)):  # noqa: SIM110  # each byte is a step nearer, and shows as one
        if len(data) <= at or data[at] != byte:
            return False
    return True
