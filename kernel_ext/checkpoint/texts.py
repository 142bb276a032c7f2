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
LEAST_HEAD = 4096
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
_IS_NUMBER = bytes(byte == ord("K") for byte in range(256))
_NUMBERS_OF_PICKLES = re.compile(rb"(?:K[\s\S]){64,}")
_DENSE_NUMBERS = 24
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
        of_it = (whole & flag) != 0
        only_it = (whole[of_it] & _NARROWER.get(flag, 0)) == 0
        yield from ((flag, text) for text in _joined(numpy, data, likely[of_it], only_it, flag))


def _joined(numpy: Any, data: bytes, blocks: Any, only_it: Any, flag: int) -> Iterator[bytes]:
    """Neighbouring blocks with what of the alphabet is right before and behind them."""
    if not blocks.size:
        return
    breaks = numpy.flatnonzero(numpy.diff(blocks) != 1) + 1
    firsts = numpy.concatenate(([0], breaks))
    wanted = numpy.logical_or.reduceat(only_it, firsts)
    lasts = numpy.concatenate((breaks, [len(blocks)])) - 1
    for first, last in zip(blocks[firsts[wanted]].tolist(), blocks[lasts[wanted]].tolist(), strict=True):
        low, high = first * _BLOCK, (last + 1) * _BLOCK
        before, behind = data[max(0, low - _BLOCK) : low], data[high : high + _BLOCK]
        letters = _ALPHABETS[flag]
        low -= len(before) - len(before.rstrip(letters))
        high += len(behind) - len(behind.lstrip(letters))
        if high - low >= 1.5 * _BLOCK:
            yield data[low:high]


def decoded(flag: int, text: bytes, slow: int) -> Iterator[bytes]:
    """What the text may stand for; nothing is sure here. Of codes that are slow to take back so many characters."""
    if flag == _B64:
        yield from _base64_or_hex(text, slow)
    elif flag == _NUMBERS:
        yield _numbers(text[:slow])
    elif flag == _HEX:
        yield from _hex(text.translate(None, b": -\r\n"))
    elif flag == _DENSE:
        yield from _base85(text[:slow])
    else:
        yield from _uuencoded(text[:slow])


def _base64_or_hex(text: bytes, slow: int) -> Iterator[bytes]:
    plain = text.replace(b"\\r", b"").replace(b"\\n", b"").translate(_URL_SAFE, b"\r\n\\ ").rstrip(b"=")
    if not plain.translate(None, b"0123456789abcdefABCDEF"):
        yield from _hex(plain)
        return
    for skipped in range(4):  # what was before may have ended anywhere in the alphabet
        rest = plain[skipped:] if skipped == 0 else plain[skipped:LEAST_HEAD]
        rest = rest[: len(rest) - (len(rest) % 4 == 1)]
        try:
            yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4))
        except binascii.Error:
            continue
    if not plain.translate(None, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"):
        head = plain[:slow]
        yield base64.b32decode(head[: len(head) // 8 * 8])


def _hex(digits: bytes) -> Iterator[bytes]:
    yield binascii.unhexlify(digits[: len(digits) // 2 * 2])


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _numbers(text: bytes) -> bytes:
    """Of numbers up to 255 that begin somewhere in the text's head."""
    values = [int(each) for each in re.findall(rb"\d{1,9}", text)]
    return bytes(value if value < 256 else 0 for value in values)


def _base85(text: bytes) -> Iterator[bytes]:
    head = b"".join(text.split())
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
    lines = [line for line in text.splitlines() if line.startswith(b"M") and len(line) == 61]
    if len(lines) > 1:
        yield b"".join(binascii.a2b_uu(line) for line in lines)


def dense(data: bytes, table: bytes, least: int) -> list[bytes]:
    """The stretches where so many of _SAMPLES bytes are in the table, with what is beside them."""
    numpy = sys.modules.get("numpy")
    step = _STEP * _SAMPLES
    if numpy is None or len(data) < 4 * step:
        wanted = bytes(byte for byte in range(256) if table[byte])
        count = len(data) - len(data.translate(None, wanted))
        return [data] if count * _SAMPLES > len(data) * least * 0.8 else []
    sampled = numpy.frombuffer(data, numpy.uint8, len(data) // step * step)[::_STEP]
    many = (
        numpy.count_nonzero(numpy.frombuffer(table, numpy.bool_).take(sampled).reshape(-1, _SAMPLES), axis=1) >= least
    )
    rows = numpy.flatnonzero(many).tolist()
    runs = [[at for _, at in run] for _, run in groupby(enumerate(rows), lambda pair: pair[1] - pair[0])]
    return [data[max(0, run[0] - 1) * step : (run[-1] + 2) * step] for run in runs]


def escaped(data: bytes) -> Iterator[bytes]:
    """Stretches where every eighth byte or so begins an escape, without the escapes."""
    for region in dense(data, _IS_ESCAPE, _DENSE_ESCAPES):
        lead = max(_ESCAPES, key=region.count)
        for decode in _UNESCAPE[lead]:
            try:
                yield decode(region)
            except ValueError:
                continue


def pickled_numbers(data: bytes) -> Iterator[bytes]:
    """Numbers below 256 in a row in a pickle (BININT1)."""
    for region in dense(data, _IS_NUMBER, _DENSE_NUMBERS):
        yield b"".join(match[0][1::2] for match in _NUMBERS_OF_PICKLES.finditer(region))


def _from_utf8(region: bytes) -> bytes:
    """Of a text whose characters are the bytes; what Python escapes a byte with that is no text counts as one."""
    text = region.decode("utf-8", "ignore")
    return text.encode("latin-1", "ignore")


def _from_surrogates(region: bytes) -> bytes:
    return region.decode("utf-8", "surrogatepass").encode("utf-8", "surrogateescape")


def _from_backslashes(region: bytes) -> bytes:
    return codecs.escape_decode(re.sub(rb"\\(?![\\'\"abfnrtvx0-7\n])|\\$", b"", region))[0]


def _from_json(region: bytes) -> bytes:
    return re.sub(rb"\\u00([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), region)


def old_pickle(data: bytes) -> bytes:
    """Bytes in a pickle of the first protocols are a text with a few characters escaped."""
    return _from_json(data[: 1 << 20])


def line(data: bytes, start: int) -> bytes:
    """What a line of base64 that begins there stands for."""
    match = re.compile(rb"[A-Za-z0-9+/_-]{44,96}").match(data, max(0, start))
    return binascii.a2b_base64(match[0][: len(match[0]) // 4 * 4].translate(_URL_SAFE)) if match else b""


def wide(data: bytes) -> Iterator[bytes]:
    """Texts of two bytes a character, one of which is zero."""
    numpy = sys.modules.get("numpy")
    if numpy is None or len(data) < 8 * _BLOCK:
        return
    blocks = numpy.frombuffer(data, numpy.uint8, len(data) // _BLOCK * _BLOCK).reshape(-1, _BLOCK)
    for zero in (0, 1):
        likely = numpy.flatnonzero((blocks[:, zero] == 0) & (blocks[:, 2 + zero] == 0) & (blocks[:, 1 - zero] != 0))
        rows = blocks[likely]
        where = likely[~rows[:, zero::2].any(axis=1) & rows[:, 1 - zero :: 2].all(axis=1)]
        if where.size:
            yield data[
                int(where[0]) * _BLOCK - _BLOCK + 1 - zero if where[0] else 1 - zero : (int(where[-1]) + 2) * _BLOCK : 2
            ]


_UNESCAPE: dict[int, tuple[Callable[[bytes], bytes], ...]] = {
    ord("%"): (urllib.parse.unquote_to_bytes,),
    ord("="): (quopri.decodestring,),
    ord("\\"): (_from_backslashes, _from_json),
    0xC2: (_from_utf8,),
    0xC3: (_from_utf8,),
    0xED: (_from_surrogates,),
}
