"""The inputs worth keeping: a text file per target, an input a line, in hex, the empty one left out."""

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


def load(target: str) -> list[bytes]:
    path = FOLDER / f"{target}.txt"
    return [bytes.fromhex(line) for line in path.read_text().splitlines()] if path.exists() else []


def save(target: str, inputs: list[bytes]) -> None:
    lines = sorted({each.hex() for each in inputs if each}, key=lambda line: (len(line), line))
    (FOLDER / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines))


def unpack(inputs: list[bytes], folder: Path) -> None:
    """As files, the way libFuzzer wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in inputs:
        (folder / hashlib.sha256(each).hexdigest()[:16]).write_bytes(each)


def pack(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]
