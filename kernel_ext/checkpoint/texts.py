"""Stretches of text that stand for bytes, and those bytes: base64, hex, numbers, escapes.

Where stretches are is found from probes of four bytes in each sixty-four; shorter than that no image is.
"""

import base64
import binascii
import codecs
import quopri
import re
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

_BLOCK = 64
_PROBE = 4
_HEAD_CHARACTERS = 4096  # of codes that are slow to take back only the head is
_B64, _NUMBERS, _HEX, _DENSE, _UU = 1, 2, 4, 8, 16
_ALPHABETS = {
    _B64: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\\\r\n",
    _NUMBERS: b"0123456789,;[]() \r\n\t",
    _HEX: b"0123456789abcdefABCDEF: -\r\n",
    _DENSE: bytes(range(0x21, 0x7F)) + b"\r\n",
    _UU: bytes(range(0x20, 0x61)) + b"\r\n",
}
_NARROWER = {_HEX: _B64 | _NUMBERS, _DENSE: _B64 | _HEX | _NUMBERS, _UU: _B64 | _HEX | _NUMBERS}
"""Alphabets whose stretches are within those of a wider one, and are read as they are."""
_FLAGS = bytes(sum(flag for flag, letters in _ALPHABETS.items() if byte in letters) for byte in range(256))
_STRETCHES = {flag: re.compile(b"[%s]{%d,}" % (re.escape(letters), 2 * _BLOCK)) for flag, letters in _ALPHABETS.items()}
_ESCAPES = b"%=\\\xc2\xc3\xed"
_IS_ESCAPE = bytes(byte in _ESCAPES for byte in range(256))
_STEP, _SAMPLES = 11, 96  # a step that shares no factor with the length of an escape
_DENSE_ESCAPES = 9  # of the samples


def stretches(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Alphabet and text of every stretch of at least two blocks in one alphabet."""
    numpy = sys.modules.get("numpy")
    if numpy is None or len(data) < 8 * _BLOCK:
        for flag, pattern in _STRETCHES.items():
            for match in pattern.finditer(data):
                yield flag, match[0]
        return
    flags = numpy.frombuffer(_FLAGS, numpy.uint8)
    blocks = numpy.frombuffer(data, numpy.uint8, len(data) // _BLOCK * _BLOCK).reshape(-1, _BLOCK)
    probed = flags.take(blocks[:, 0])
    for place in range(1, _PROBE):
        probed &= flags.take(blocks[:, place])
    likely = numpy.flatnonzero(probed)
    if not likely.size:
        return
    whole = numpy.bitwise_and.reduce(flags.take(blocks[likely]), axis=1)
    for flag in _ALPHABETS:
        blocks_of_it = likely[(whole & (flag | _NARROWER.get(flag, 0))) == flag]
        yield from ((flag, text) for text in _joined(numpy, data, blocks_of_it, flag))


def _joined(numpy: Any, data: bytes, blocks: Any, flag: int) -> Iterator[bytes]:
    """Neighbouring blocks with what of the alphabet is right before and behind them."""
    if not blocks.size:
        return
    breaks = numpy.flatnonzero(numpy.diff(blocks) != 1) + 1
    for run in numpy.split(blocks, breaks) if breaks.size < 10_000 else ():
        low, high = int(run[0]) * _BLOCK, (int(run[-1]) + 1) * _BLOCK
        before, behind = data[max(0, low - _BLOCK) : low], data[high : high + _BLOCK]
        letters = _ALPHABETS[flag]
        low -= len(before) - len(before.rstrip(letters))
        high += len(behind) - len(behind.lstrip(letters))
        if high - low >= 1.5 * _BLOCK:
            yield data[low:high]


def decoded(flag: int, text: bytes) -> Iterator[bytes]:
    """What the text may stand for; nothing is sure here."""
    if flag == _B64:
        yield from _base64_or_hex(text)
    elif flag == _NUMBERS:
        yield _numbers(text)
    elif flag == _HEX:
        yield from _hex(text.translate(None, b": -\r\n"))
    elif flag == _DENSE:
        yield from _base85(text)
    else:
        yield from _uuencoded(text)


def _base64_or_hex(text: bytes) -> Iterator[bytes]:
    plain = text.replace(b"\\r", b"").replace(b"\\n", b"").translate(_URL_SAFE, b"\r\n\\ ").rstrip(b"=")
    if not plain.translate(None, b"0123456789abcdefABCDEF"):
        yield from _hex(plain)
        return
    for skipped in range(4):  # what was before may have ended anywhere in the alphabet
        rest = plain[skipped:] if skipped == 0 else plain[skipped:_HEAD_CHARACTERS]
        rest = rest[: len(rest) - (len(rest) % 4 == 1)]
        try:
            yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))
        except binascii.Error:
            continue
    if not plain.translate(None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
        head = plain[:_HEAD_CHARACTERS]
        yield base64.b32decode(head[: len(head) // 8 * 8])


def _hex(digits: bytes) -> Iterator[bytes]:
    yield binascii.unhexlify(digits[: len(digits) // 2 * 2])


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _numbers(text: bytes) -> bytes:
    """Of numbers up to 255 that begin somewhere in the text's head."""
    values = [int(each) for each in re.findall(rb"\d{1,9}", text[:_HEAD_CHARACTERS])]
    return bytes(value if value < 256 else 0 for value in values)


def _base85(text: bytes) -> Iterator[bytes]:
    head = b"".join(text[:_HEAD_CHARACTERS].split())
    body = head.removeprefix(b"<~")
    for decode, whole in ((base64.b85decode, head), (base64.a85decode, body)):
        for skipped in (0, 1, 2):
            part = whole[skipped:]
            try:
                yield decode(part[: len(part) // 5 * 5])
                break
            except ValueError:
                continue


def _uuencoded(text: bytes) -> Iterator[bytes]:
    lines = [line for line in text[:_HEAD_CHARACTERS].splitlines() if line.startswith(b"M") and len(line) == 61]
    if len(lines) > 1:
        yield b"".join(binascii.a2b_uu(line) for line in lines)


def escaped(data: bytes) -> Iterator[bytes]:
    """Stretches where every eighth byte or so begins an escape, without the escapes."""
    numpy = sys.modules.get("numpy")
    step = _STEP * _SAMPLES
    if numpy is None or len(data) < 4 * step:
        regions = [data] if sum(data.count(each) for each in _ESCAPES) * 12 > len(data) else []
    else:
        sampled = numpy.frombuffer(data, numpy.uint8, len(data) // step * step)[::_STEP]
        table = numpy.frombuffer(_IS_ESCAPE, numpy.bool_)
        many = numpy.count_nonzero(table.take(sampled).reshape(-1, _SAMPLES), axis=1) >= _DENSE_ESCAPES
        rows = numpy.flatnonzero(many).tolist()
        runs = [[at for _, at in run] for _, run in groupby(enumerate(rows), lambda pair: pair[1] - pair[0])]
        regions = [data[max(0, run[0] - 1) * step : (run[-1] + 2) * step] for run in runs]
    for region in regions:
        lead = max(_ESCAPES, key=region.count)
        for decode in _UNESCAPE[lead]:
            try:
                yield decode(region)
            except ValueError:
                continue


def _from_utf8(region: bytes) -> bytes:
    """Of a text whose characters are the bytes; what Python escapes a byte with that is no text counts as one."""
    text = region.decode("utf-8", "ignore")
    return text.encode("latin-1", "ignore")


def _from_surrogates(region: bytes) -> bytes:
    return region.decode("utf-8", "surrogatepass").encode("utf-8", "surrogateescape")


def _from_backslashes(region: bytes) -> bytes:
    return codecs.escape_decode(re.sub(rb"\\(?![\\'\"abfnrtvx0-7\n])|\\$", b"", region))[0]


_UNESCAPE: dict[int, tuple[Callable[[bytes], bytes], ...]] = {
    ord("%"): (urllib.parse.unquote_to_bytes,),
    ord("="): (quopri.decodestring,),
    ord("\\"): (_from_backslashes,),
    0xC2: (_from_utf8,),
    0xC3: (_from_utf8,),
    0xED: (_from_surrogates,),
}
