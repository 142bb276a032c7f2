"""Measures the guard where the kernel's packages are: measured.py WHAT, prints JSON."""

import json
import sys
import time
import warnings

import disguises
import image_kinds
import kept
import numpy as np
import ordinary
from PIL import Image, ImageDraw

from kernel_ext.checkpoint import decoding
from kernel_ext.checkpoint.guard import Guard

warnings.simplefilter("ignore")
_LARGEST = 100_000


class Nobody:
    """Keeps everything."""

    def replace(self, obj):
        return None

    def suspects(self, data):
        return ""


def encoded(kinds, disguise):
    """[cases, kinds and disguises of those that were kept] of every kind in every disguise."""
    overhead = {name: len(kept.kept(make(b"plain " * 20), Nobody())[0]) for name, make in disguise.items()}
    kept_ones, count = [], 0
    for kind, encode in kinds.items():
        file = encode(image_kinds.photo(1, 72, 64))[:_LARGEST]
        for name, make in disguise.items():
            count += 1
            if len(kept.kept(make(file), Guard())[0]) > 300 + 0.1 * len(file) + overhead[name]:
                kept_ones.append([kind, name])
    return [count, kept_ones]


def decoded(disguise, seeds):
    kept_ones, count, guard = [], 0, [Guard()]
    decoding.watch(lambda image: guard[0].noted_image(image))
    for seed in seeds:
        mine = guard[0] = Guard()
        image = disguises.opened(seed)
        guard[0] = Guard()
        for name, make in disguise.items():
            value = make(image)
            count += 1
            pixels = image.width * image.height * 3
            if len(kept.kept(value, mine)[0]) > 2500 + 0.1 * min(kept.size_of(value), pixels):
                kept_ones.append([seed, name])
    return [count, kept_ones]


def seen():
    """Images that a session had: photographs, noise, ramps, a page of text, flat colours."""
    yield from (image_kinds.photo(seed) for seed in range(20, 30))
    yield from (Image.linear_gradient("L"), Image.radial_gradient("L"), Image.effect_noise((200, 150), 60))
    chance = np.random.default_rng(3)
    yield Image.fromarray(chance.integers(0, 256, (128, 128, 3)).astype(np.uint8))
    yield Image.fromarray(chance.integers(0, 16, (128, 128)).astype(np.uint8))
    page = Image.new("RGB", (300, 200), "white")
    for line in range(20):
        ImageDraw.Draw(page).text((5, 9 * line), disguises.WORDS, fill="black")
    yield page
    yield Image.new("L", (64, 64))
    yield Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))


def false_alarms():
    """[kinds of data, those of which anything was taken for an image], in a session without images and with many."""
    tainted = Guard()
    for image in seen():
        tainted.noted_image(image)
    wrong = []
    for session, guard in (("without images", Guard()), ("with images", tainted)):
        for name, make in ordinary.ORDINARY.items():
            value = make()
            plain = b"".join(kept.through(kept.Quick, value, Nobody()))
            slow = kept.through(kept.Slow, value, guard) if len(plain) < 300_000 else [plain]
            if kept.kept(value, guard) != (plain, 0) or b"".join(slow) != plain:
                wrong.append([session, name])
    return [len(ordinary.ORDINARY), wrong]


def speed():
    """MB/s of `suspects` over raw floats and over ordinary records as a pickle, best of three."""
    floats = np.random.default_rng(0).normal(size=1 << 21).tobytes()
    records = kept.through(kept.Quick, ordinary.records() * 20, Nobody())[0]
    found = {}
    for name, data in (("floats", floats), ("records", records), ("source", ordinary.SOURCE.encode() * 5)):
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            assert Guard().suspects(data) == ""
            best = min(best, time.perf_counter() - start)
        found[name] = len(data) / best / 1e6
    return found


def chance():
    """What is found in 200 MB of random bytes, and in their base64."""
    guard, random = Guard(), np.random.default_rng(1)
    return [kind for _ in range(200) if (kind := guard.suspects(random.bytes(1_000_000)))]


MEASURED = {
    "encoded tuned": lambda: encoded(image_kinds.TUNED, disguises.ENCODED_TUNED),
    "encoded, kinds held out": lambda: encoded(image_kinds.HELD_OUT, disguises.ENCODED_TUNED),
    "encoded, disguises held out": lambda: encoded(image_kinds.TUNED, disguises.ENCODED_HELD_OUT),
    "encoded, both held out": lambda: encoded(image_kinds.HELD_OUT, disguises.ENCODED_HELD_OUT),
    "encoded, hopeless": lambda: encoded(image_kinds.TUNED, disguises.HOPELESS_ENCODED),
    "decoded tuned": lambda: decoded(disguises.DECODED_TUNED, range(1, 6)),
    "decoded held out": lambda: decoded(disguises.DECODED_HELD_OUT, range(11, 16)),
    "decoded, hopeless": lambda: decoded(disguises.HOPELESS_DECODED, range(11, 16)),
    "ordinary": false_alarms,
    "speed": speed,
    "chance": chance,
}

if __name__ == "__main__":
    print(json.dumps(MEASURED[sys.argv[1]]()))
