"""Which URLs point to a server's storage, and where a text speaks of that storage. Pure."""

import html
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import unquote

import httpx2

_DEFAULT_PORTS = {"https": 443, "http": 80}
_MAX_DECODINGS = 4  # a link inside a link inside a link; deeper ones stay opaque text
REDACTED = "[redacted]"
_HOST = re.compile(rb"[a-z0-9.-]+|[0-9a-f:.]+")
_TOKEN = re.compile(r"""[^\s"'<>`]+""")


def is_loopback_name(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class StorageHosts:
    """The `storage_hosts` of one server. Raises ValueError for an entry that is not `host` or `host:port`."""

    __slots__ = ("_exact", "_spellings")

    def __init__(self, entries: Iterable[str] = ()) -> None:
        exact: set[tuple[bytes, int]] = set()
        spellings: set[str] = set()
        for entry in entries:
            try:
                url = httpx2.URL(f"https://{entry}")
            except (httpx2.InvalidURL, ValueError) as error:
                raise ValueError(f"`{entry}` is not a host or host:port") from error
            if not _HOST.fullmatch(url.raw_host) or url.userinfo or url.raw_path != b"/" or url.fragment:
                raise ValueError(f"`{entry}` is not a host or host:port")
            exact |= {(url.raw_host, port) for port in ((url.port,) if url.port else _DEFAULT_PORTS.values())}
            spellings.add(url.netloc.decode().lower())
        self._exact, self._spellings = frozenset(exact), tuple(sorted(spellings))

    def __repr__(self) -> str:
        return f"<StorageHosts {', '.join(self._spellings)}>"

    def hold(self, url: str) -> bool:
        """Whether the whole text is one plain link to this storage. Parsed as the request will be, so both agree."""
        try:
            parsed = httpx2.URL(url)
        except (httpx2.InvalidURL, ValueError):  # the latter from its parts: a port, a name in Unicode
            return False
        return self.holds(parsed)

    def holds(self, parsed: httpx2.URL) -> bool:
        if parsed.scheme not in _DEFAULT_PORTS or parsed.userinfo:
            return False
        return (parsed.raw_host, parsed.port or _DEFAULT_PORTS[parsed.scheme]) in self._exact

    def mentioned(self, text: str) -> bool:
        """Whether `text` names this storage, also percent-encoded, entity-encoded or with escaped slashes."""
        return any(spelling in form.lower() for form in forms(text) for spelling in self._spellings)

    def redact(self, text: str) -> str:
        """`text` without the words that name this storage; all of it goes where they hide across words."""
        if not self._spellings or not self.mentioned(text):
            return text
        cleaned = _TOKEN.sub(lambda match: REDACTED if self.mentioned(match[0]) else match[0], text)
        return REDACTED if self.mentioned(cleaned) else cleaned


def forms(text: str) -> list[str]:
    """`text` and what it says after each step of decoding, outermost first."""
    found = [text]
    for _ in range(_MAX_DECODINGS):
        if not ("%" in text or "&" in text or "\\" in text):
            break
        decoded = html.unescape(unquote(text)).replace("\\/", "/")
        if decoded == text:
            break
        found.append(text := decoded)
    return found
