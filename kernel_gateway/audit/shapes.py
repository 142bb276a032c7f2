"""Tokens of issuers that nobody listed, told by their form: words that say what it is, then what no person wrote.

`acme_live_9f8A...`, `xyz-sk-...`, `abc_` and forty characters of mixed case. Ids have the same form and are shorter,
follow the name of a thing (`job_`, `cus_`, `req-`), or are plain hexadecimal: they stay. Where a sentence speaks of a
token or key, the same without any word in front.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from kernel_gateway.audit.names import words
from kernel_gateway.audit.spans import Rule, Rules, Span

_RUN = re.compile(
    r"(?:(?<![A-Za-z0-9\\])|(?<=\\[nrtbf]))"
    r"[A-Za-z0-9](?:[A-Za-z0-9_.$-]|(?<=[A-Za-z0-9])[~+](?=[A-Za-z0-9])){17,1023}",
    re.ASCII,
)
_PART = re.compile(r"[._$-]+")
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$", re.IGNORECASE)
_UUID_AT_END = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$", re.IGNORECASE)
_HEX = re.compile(r"[0-9a-f]+$|[0-9A-F]+$")
# words, acronyms and numbers of a name in CamelCase
_SPELLED = re.compile(r"[A-Z][a-z]{2,}|\d{1,5}|[A-Z]{2,6}(?=\d|[A-Z][a-z])|^[a-z]{3,}")
_FILE = re.compile(r"\.(?:[a-z]{2,5}|[a-z]{1,3}\d?)$")
_MAX_WORDS = 5

# the word in front of what is secret: it is enough, whatever follows
_SECRET_WORDS = words(
    """
    accesskey accesstoken apikey apitoken appsecret authkey authtoken bearer cred creds key oauth pass passwd password
    pat priv privkey private privatekey pwd rk sec secret secretkey signing signkey sk skey tkn tok token tokens usk
    """
)
_SECRET_ENDINGS = ("apikey", "authkey", "pat", "sec", "seck", "secret", "signkey", "tok", "token")
# in front of a token too, but also of ids and names
_WEAK_WORDS = words("access api auth dev live prod production rest sandbox sdk service sess session srv stg test")
_PUBLIC_WORDS = words("pk pub public publishable pubkey fingerprint kid")
# what ids are called by, and digests: never a token, whatever follows
_THINGS = (
    words(
        """
    account acct act actor address agent alert ami app application approval appt art artifact asset asst at att
    attempt audit automation bal bank batch batchjob bill blob block board book branch build bucket bundle cache call
    campaign card cart case cat cdn cell cert ch change channel chat chatcmpl check checkout chk cid click client
    cluster cmpl code coll column com command comment commit commitment comp completion component config connection
    contact container conv conversation corr correlation coupon cron cs css cus cust customer cv dash dashboard data
    dataset db deal del deployment deploy device diff digest dir dispute doc document dom domain dp dpl draft ec2
    edge embed embedding emp endpoint entity entry env episode err error etag eval event evt exec execution exp
    export fa feature feed fi field file files fl flow fn folder form fork ft func function ga game gen gid git goal
    grant graph group grp guide hash head hit host html http i ic id idem idempotency image img imp import in inc
    incident index inf info ingest input ins instance int intent inv invitation invoice ip is issue item job js kb
    label layer lead lease level lib line link list listing lnk log loc location lock mail map mbox mcp md md5 med
    media member memory menu merge message meta metric mig migration mod model module mon monitor ms msg nat net
    network nic node note notification ob obj object offer op operation opt or order org organization out output
    owner p page paper part partner party pass path pay payment payout pcs person phase photo pi pipe pipeline plan
    player plink pm po pod point policy poll pool post pr preview price print prj proc process prod product profile
    program project prompt prop provider proxy prt pub pull py qt query queue quote r rag range rate rb re read rec
    receipt record ref refund region rel release replica report repo req request res reservation resource resp
    response result rev review role rollout room route row rs rtb rule run s sample scan schema scope score screen
    search seg segment seq series server set setting sha sha1 sha224 sha256 sha384 sha512 sheet ship shop si site slot
    snap snapshot source span spec sprint src step storage store story stream stripe su sub subnet subscription sum
    survey svc sync sys sg t tab table tag task tax team template tenant term test thread ticket timer tmp toolu tool
    topic trace trade train trans transaction transfer trip trn txn txr type uid unit update upload url usage use
    user usr uuid v variant vec vendor ver version video view visit vm vol volume vote vpc vs vse wallet watch web
    weights widget window wf work worker workflow workspace ws x xid y z zip zone
    """
    )
    - _WEAK_WORDS
)
_LONG, _MEDIUM = 30, 16
_ULID = re.compile(r"[0-9A-Z]+$|[0-9a-z]+$")  # of one case: an id

# A sentence that speaks of one, and the value that follows it in the same sentence.
_CUES = (
    *("password", "passphrase", "secret", "token", "credential", "api key", "apikey", "access key", " key", "leaked"),
    *("revoke", "rotate", "login", "log in", "sign in", "authenticate", "paste", "copy"),
)
_SPOKEN = Rules(
    Rule(
        cue,
        re.compile(
            rf"(?i:{cue})[a-z]{{0,3}}(?![\"'_\w-])[^\n=:;{{}}\[\]|,]{{0,48}}?:?"
            rf"(?:[ (\"'`*]|\s{{0,2}}</?\w{{0,12}}>?|\n){{1,4}}"
            r"(?![\w.+-]{1,10}:)((?=[\w~+/.:-]{0,200}\d)[A-Za-z0-9][\w~+/.:-]{18,300}={0,2})",
            re.ASCII,
        ),
        "token",
    )
    for cue in _CUES
)


def find(text: str, lower: str) -> Iterator[Span]:
    for run in _RUN.finditer(text):
        value = run[0].rstrip(".-_$")
        if is_token(value, in_path=text[run.start() - 1 : run.start()] == "/"):
            yield Span(run.start(), run.start() + len(value), "token")
    for span in _SPOKEN.find(text, lower):
        if is_opaque(text[span.start : span.end].rstrip(".=")):
            yield span


def is_token(value: str, *, in_path: bool = False) -> bool:
    """Whether `value` is words that name a token and something opaque, in the form `word_word_opaque`."""
    if _UUID.match(value) or _FILE.search(value) or _is_class(value):
        return False
    parts = _PART.split(value)
    if not value[0].isalpha():
        return False
    named, at = 0, 0
    while named < min(_MAX_WORDS, len(parts) - 1) and _is_word(parts[named]):
        at += len(parts[named]) + 1
        named += 1
    if not named:
        return False
    before, rest = [part.lower() for part in parts[:named]], value[at:]
    if not _PUBLIC_WORDS.isdisjoint(before):
        return False
    if _is_slug(parts[named:]):
        return False
    if any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) for word in before):
        return is_random(rest, _MEDIUM) or _is_identifier(rest, 24)
    if before[0] in _THINGS:
        return False
    if not _WEAK_WORDS.isdisjoint(before):
        return (is_random(rest, _MEDIUM + 4) and (len(rest) > _LONG or not _ULID.match(rest))) or (
            _is_identifier(rest, 32) and "." not in value and "_" in value
        )
    if in_path:  # ids stand there; paths.py knows where secrets do
        return False
    separator = value[len(parts[0])]
    if len(before[0]) > 8 or separator == ".":
        return is_random(rest, 40) and separator != "."
    return is_random(rest, _LONG) or (separator == "_" and len(before[0]) <= 8 and _is_identifier(rest, 40))


def is_opaque(value: str) -> bool:
    """Whether nobody can have written `value`: mixed as chance does; no UUID, digest, path or address."""
    if "/" in value and not _is_base64(value):
        return False
    parts = _PART.split(value)
    if _is_word(parts[0]) and parts[0].lower() in _THINGS and len(parts) > 1:
        return False
    return not _is_slug(parts) and not _is_class(value) and not _FILE.search(value) and is_random(value, 20)


def _is_base64(value: str) -> bool:
    return all(len(part) > 3 for part in value.split("/")) and any(len(part) >= 16 for part in value.split("/"))


def _is_word(part: str) -> bool:
    if part.isalpha():
        return len(part) <= 12 and (part.islower() or part.isupper() or part.istitle())
    return len(part) <= 4 and part.isalnum() and (part.islower() or part.isupper())


def _is_class(value: str) -> bool:
    """A class in its module: `shop.auth.hashers.Argon2PasswordHasher`."""
    name = re.split(r"[.$]", value)[-1] if "." in value else ""
    return bool(name) and sum(map(len, _SPELLED.findall(name))) * 20 >= len(name) * 17


def _is_slug(parts: list[str]) -> bool:
    """Words, numbers and short ids in a row: a branch, a package, a pod."""
    longest = max((part for part in parts), key=len, default="")
    return len(longest) < 12 and sum(map(_is_plain, parts)) * 2 > len(parts)


def _is_plain(part: str) -> bool:
    return part.isdigit() or (part.isalpha() and (part.islower() or part.isupper() or part.istitle()))


def _classes(value: str) -> tuple[int, int, int]:
    upper = sum(c.isupper() for c in value)
    lower = sum(c.islower() for c in value)
    return upper, lower, sum(c.isdigit() for c in value)


def is_random(value: str, at_least: int) -> bool:
    """Letters of both cases and digits, mixed as chance does, or of one case with letters that hex has not."""
    upper, lower, digits = _classes(value)
    if upper + lower + digits < at_least or _HEX.match(value) or _UUID_AT_END.search(value):
        return False
    length = upper + lower + digits
    switches = _switches(value)
    if upper >= 2 and lower >= 2 and digits >= 1:
        return switches * 4 >= length
    if digits >= 2 and (upper == 0 or lower == 0):
        return switches * 6 >= length and length >= at_least + 2
    return upper * 4 >= length and lower * 4 >= length and switches * 3 >= length  # no digit at all


def _switches(value: str) -> int:
    """How often one kind of character follows another; words in CamelCase do it twice a word."""
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" if c.islower() else "" for c in value]
    return sum(1 for a, b in pairwise(kinds) if a and b and a != b)


def _is_identifier(value: str, at_least: int) -> bool:
    """A UUID, or hexadecimal of at least so many digits; or several of either."""
    if _UUID_AT_END.search(value):
        return True
    return any(len(part) >= at_least and _HEX.match(part) and not part.isdigit() for part in _PART.split(value))
