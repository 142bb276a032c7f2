"""Links whose path is the authority: whoever knows the address of a webhook, a feed or an invitation may use it."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from kernel_gateway.audit.names import words
from kernel_gateway.audit.shapes import is_random
from kernel_gateway.audit.spans import Span

_URL = re.compile(
    r"(?:http|ws|rtmp)s?(?::|%3[aA])(?:\\{0,15}/|%2[fF]){2}(?P<host>[\w.%:@-]{3,253})(?P<path>(?:(?:\\{0,15}/|%2[fF])[^\s\"'<>`/?#\\)\],;|]{0,512}){1,24})"
)
_SEGMENT = re.compile(r"(?:/|%2[fF])((?:(?!%2[fF])[^/\\])+)")
# what stands before it in the path, or in the name of the host
_GIVES_ACCESS = words(
    """
    activate activation api-key apikey auth beat bot calendar capability catch confirm confirmation cron enqueue feed
    feeds heartbeat hook hooks ical ics import inbound incoming incomingwebhook ingest integration integrations
    invitation invite
    invites join key login magic magic-link magiclink one-time otp password password-reset ping private push
    recover recovery
    register reset reset-password reset_password robot rss secret services share shared signed
    signin signup
    sso submit temp ticket token tokens trigger triggers unsubscribe v verification verify verify-email webhook
    webhookb2 webhooks with workflows
    """
)
_HOSTS = words(
    "hook hooks rtmp hc-ping webhook webhooks rpc mainnet testnet goerli sepolia quiknode quicknode infura alchemy"
    " ankr node nodes ingest"
)
_VERSION = re.compile(r"v\d{1,2}$")
_NAMES_CONTENT = words(
    "commit commits tree blob raw assets static dist build d document documents folders file files spreadsheets"
    " presentation images img objects artifacts sha256 digest manifests blobs packages gist"
)
_OPAQUE = re.compile(r"[\w.~=+@-]{16,512}$", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{24,}$|[0-9A-F]{24,}$")
_UUIDS = re.compile(r"(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}@?){1,2}$", re.IGNORECASE)
_PREFIXED = re.compile(r"(?:private|secret|token|key|bot)[-_:]?(?:\d{6,12}:)?(?P<rest>[\w-]{20,})$", re.ASCII)
_FILE = re.compile(r"\.[a-z][a-z0-9]{1,7}$")
_FAR = 3  # segments between the word and what is secret


def find(text: str) -> Iterator[Span]:
    if "//" not in text and "%2" not in text and "\\/" not in text:
        return
    for url in _URL.finditer(text):
        host = words(
            re.sub(r"[.:@-]", " ", url["host"].lower())
            + (" rtmp" if url[0].startswith("rtmp") else "")
            + " "
            + url["host"].split(".")[0].lower()
        )
        since = 0 if not host.isdisjoint(_HOSTS) else None  # how many segments ago it was said
        before = ""
        for segment in _SEGMENT.finditer(text, *url.span("path")):
            value = unquote(segment[1])
            if before in _NAMES_CONTENT and value.lower() not in _GIVES_ACCESS:
                break
            if _gives_access(value, before, since):
                yield Span(*segment.span(1), "secret-link")
            since = 0 if value.lower() in _GIVES_ACCESS else since + 1 if since is not None else None
            since = None if since is not None and since > _FAR and host.isdisjoint(_HOSTS) else since
            before = value.lower()


def _gives_access(value: str, before: str, since: int | None) -> bool:
    if not _OPAQUE.match(value) or _FILE.search(value):
        return False
    if (prefixed := _PREFIXED.match(value)) is not None and (
        is_random(prefixed["rest"], 20) or _HEX.match(prefixed["rest"])
    ):
        return True
    if since is not None:
        return is_random(value, 16) or bool(_HEX.match(value) or _UUIDS.match(value))
    return is_random(value, 28 if _VERSION.match(before) else 40)
