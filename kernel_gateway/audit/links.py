"""Signed URLs: links whose query is the authority to read or write something."""

import html
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from kernel_gateway.audit.judge import is_secret
from kernel_gateway.audit.names import Says, says, words
from kernel_gateway.audit.spans import Span

MIN_SIGNATURE_CHARACTERS = 4
_LAYERS = 4  # how many times a URL may have been encoded

# Besides every name that says it is a secret, and every name that ends with "signature".
_SIGNATURES = words(
    """
    __gda__ access auth authkey authorization awsaccesskeyid hdnea hdntl hdnts hmac invite jwt magic otp pass passkey
    passwd pwd sig sign ticket
    """
)
# Harmless alone, a signed URL together: CloudFront, Azure SAS, Discord, resumable uploads of GCS
_TOGETHER = (
    frozenset({"expires", "key-pair-id"}),
    frozenset({"policy", "key-pair-id"}),
    frozenset({"sv", "se", "sp"}),
    frozenset({"ex", "is", "hm"}),
    frozenset({"uploadtype", "upload_id"}),
    frozenset({"x-amz-credential", "x-amz-date"}),
    frozenset({"x-goog-credential", "x-goog-date"}),
)
_DIGESTS, _EXPIRIES = ("md5", "st", "hash", "h", "s"), ("e", "exp", "expires", "expiry", "t", "ttl")
_DIGEST, _MOMENT = re.compile(r"[\w-]{16,128}={0,2}"), re.compile(r"\d{10}")
_RUN = re.compile(r"[^\s\"'<>`]{8,}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}(?::|%(?:25){0,2}3[Aa])(?:(?:\\?/){2}|(?:%(?:25){0,2}2[Ff]){2})")
_SLASH = re.compile(r"\\?/|%(?:25){0,2}2[Ff]")
_QUERY = re.compile(r"[?\#]|%(?:25){0,2}(?:3[Ff]|23)|\\u003[fF]|\\u0023|\\x3[fF]|&\#63;")
_AT = re.compile(r"@|%(?:25){0,2}40|\\u0040|\\x40|&\#64;|&commat;")
_PARAMETER = re.compile(r"[?&;#]([^=&?#;\s/]{1,64})=([^&?#;\s]*)")
_ESCAPE = re.compile(r"\\(?:u00|x)([0-9A-Fa-f]{2})")
_LOGIN = re.compile(r"//[^/?#\s@:]{0,256}:(?!\d{1,5}(?:[/?#]|$))[^/?#\s@]{1,256}@")


def is_signed_url(url: str) -> bool:
    """Whether whoever holds `url` can use it: a signature, token or password in it, also inside an encoded part."""
    for _ in range(_LAYERS):
        if _is_signed(url):
            return True
        unescaped = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), url).replace("\\/", "/")
        plainer = unquote(html.unescape(unescaped))
        if plainer == url:
            return False
        url = plainer
    return _is_signed(url)


def signed_urls(text: str) -> list[tuple[int, int]]:
    """Where signed URLs are in `text`, absolute, scheme-relative or path only, however encoded: [(start, end)]."""
    return [(start, end) for start, end, _ in _signed(text)]


def find(text: str) -> Iterator[Span]:
    """The part of every signed URL that is not its address."""
    for _, end, query in _signed(text):
        if query is not None and not text.startswith(
            "[redacted", query
        ):  # without one it is a login, of which only the password goes: headers.py
            yield Span(query, end, "signed-url")


def _signed(text: str) -> Iterator[tuple[int, int, int | None]]:
    """(start, end, where the query begins if there is one)"""
    for run in _RUN.finditer(text):
        if not _QUERY.search(run[0]) and not _AT.search(run[0]):
            continue
        starts = _starts(run[0])
        for start, end in zip(starts, [*starts[1:], len(run[0])], strict=True):
            url = run[0][start:end].rstrip(".,:;!?)]}\\")
            query = _QUERY.search(url)
            if (query or _AT.search(url)) and is_signed_url(url):
                begin = run.start() + start
                yield begin, begin + len(url), begin + query.end() if query else None


def _starts(run: str) -> list[int]:
    """Where URLs begin in `run`: one inside the query of another is part of that one, one after a comma is not."""
    query, slash = _QUERY.search(run), _SLASH.search(run)
    starts = [match.start() for match in _SCHEME.finditer(run)]
    address = query.start() if query else len(run)
    relative = min(address, slash.start() if slash else len(run))
    first = relative if not starts or address < starts[0] else starts[0]
    return [first, *(start for start in starts if start > first and run[start - 1] in ",;|)]}")]


def _is_signed(url: str) -> bool:
    values = {name.lower(): value for name, value in _PARAMETER.findall(url) if len(value) >= MIN_SIGNATURE_CHARACTERS}
    return (
        any(_is_signature(name, value) for name, value in values.items())
        or any(together <= values.keys() for together in _TOGETHER)
        or _is_hash_with_expiry(values)
        or _LOGIN.search(url) is not None
    )


def _is_hash_with_expiry(values: Mapping[str, str]) -> bool:
    """As nginx and many shops make links: a digest over the path and a moment, without a name that says so."""
    has_digest = any(_DIGEST.fullmatch(values.get(name, "")) for name in _DIGESTS)
    return has_digest and any(_MOMENT.fullmatch(values.get(name, "")) for name in _EXPIRIES)


def _is_signature(name: str, value: str) -> bool:
    if name in _SIGNATURES or name.endswith("signature"):
        return True
    return says(name) is Says.SECRET and is_secret(value, name, Says.SECRET, quoted=True)
