"""Whether what stands behind a name can be a secret: not a placeholder, a reference, a word, a path or code."""

import re
from urllib.parse import unquote

from kernel_gateway.audit.names import Says, words
from kernel_gateway.audit.shapes import is_opaque

_PLACEHOLDER = re.compile(  # what stands where a secret was, or will be
    r"""[*•●#._?x-]{2,}$|\w{1,12}:\[redacted\b|\*|…|<[^<>]*>?$|&lt;
    |[\[(<*]{0,2}(?:redacted|masked|filtered|hidden|sensitive|removed|omitted|scrubbed|not[ _-]set|unset
        |secret[ ]value)\b
    |(?:your|insert|enter|replace|change|put|add|fill|todo|fixme|tbd|dummy|placeholder|example|sample|fake)
        (?:$|[\s_-]|it$|me\b|this\b|in\b)
    |(?:[\w-]+[_-])?(?:goes[_-])?here$|[\w-]*[_-](?:placeholder|example)$|n/?a$""",
    re.IGNORECASE | re.VERBOSE,
)
_REFERENCE = re.compile(  # where it is to be found
    r"""\$\{|\$\(|\$\$?[A-Za-z_]\w*(?=[\s}"'.,:;&/)\[]|$)|\$env:|\{\{|\{[A-Za-z_][\w./-]*\}|%\(?[A-Za-z_]\w*\)?[sd%]?$|%[\w{]+\}?%?$|\#\{|@\{|<%|@Microsoft\.KeyVault
    |!(?:Ref|Sub|GetAtt|vault|ImportValue|secret|env|Join)\b|&?:[a-z_]\w*$|\?$|%s$
    |(?:[a-z][a-z0-9]{1,15}\+)?(?:op|vault|ssm|sm|gsm|awssm|azkv|azurekv|gcpsm|akv|env|file|ref|keyring|keychain|pass|doppler|bws|aws|gcp
        |secretsmanager|secretmanager|parameterstore|resolve|lookup|valueFrom|kms|sops|k8s):[\w/.:\#-]
    |(?:secretref|secrets?|vault)://?|arn:aws|projects/|ENC\[
    |[A-Z][A-Z0-9]*(?:_[A-Z][A-Z]*)+$
    |[a-z][a-z0-9]*(?:[-/.][a-z0-9]{1,16}){0,6}[-/.](?:credentials?|creds|secrets?|tokens?|keys?|passwords?|passwd|auth|tls|certs?)$""",
    re.VERBOSE,
)
_REMARK = re.compile(r"\([a-z]{2,12}[ ][a-z0-9]{1,12}\b")  # (at least 12 characters)
_CODE = re.compile(
    r"""[A-Za-z_][\w.:]*!?\(|\(\w{1,20}\)\s|(?:self|cls|config|settings|args|os|env|process|request|kwargs|options|this|ctx|context|secrets|var|local|data|
        module|params|props|state|import\.meta|input|inputs|vars|steps|needs|github|deno|bun)\.[\w.]|[A-Za-z_]\w*(?:->|::|\?\.)[A-Za-z_]|[A-Za-z_]\w*\[["'\w]
        |[a-z_]\w*(?:\.[a-z_][A-Za-z_]*){1,5}$|[&*]+(?:'\w+[ ])?(?:mut[ ])?\w+$
        |(?:new|await|async|return|lambda|func|function|not)$""",
    re.VERBOSE,
)
_VARIABLE = re.compile(
    r"[a-z]+(?:_[a-z]+)*_(?:token|secret|password|passwd|pwd|key|credentials?|auth|pass|pin|otp|code|value|var|id|name)$"
    r"|[a-z]+(?:[A-Z][a-z]+)*(?:Token|Secret|Password|Passwd|Pwd|Key|Credentials?|Auth|Pass|Pin|Otp|Code|Value|Id|Name)$"
)
_PATH = re.compile(
    r"(?:~|\.{1,2}|/(?:etc|run|home|var|usr|opt|root|tmp|mnt|proc|srv|Users|secrets|app|workspace|data|keys|certs|vault))/[\w./@-]+$|/[\w.-]+$|[A-Za-z]:\\"
    r"|(?:[\w.-]+/)*[\w.-]+\.(?:pem|key|crt|cer|pub|p12|pfx|jks|json|ya?ml|toml|txt|env|ini|conf|cfg|gpg|asc|kdbx|ppk|der|png|jpe?g|py|js|ts|go|rb|tar|gz|zip)$"
)
_IDENTIFIER = re.compile(  # a date, a number, an address, a path
    r"\d{4}-\d\d-\d\d|[\d.,:_-]+$|\w+://|/(?![\w+/]{30,}={0,2}$)|(?:[a-z0-9]+:)(?:[0-9a-f]+|[0-9A-F]+)$|(?:[0-9a-f]{2}:){5,}|(?:[\w.-]+/)+[\w-]+\.\w{2,5}$"
)
_DIGEST = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$|(?:[0-9a-f]+|[0-9A-F]+)$")
_PUBLIC = re.compile(
    r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+|pk_(?:live|test)_|-----BEGIN (?:[A-Z ]*PUBLIC KEY|CERTIFICATE)"
    r"|SHA256:|MII[BC]Ij)"
)
_LONG_HEX = re.compile(r"(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{32,}$", re.IGNORECASE)
_DIGIT, _LETTER, _SIGN = re.compile(r"\d"), re.compile(r"[^\W\d_]"), re.compile(r"\w")
_NUMBERS = ("password", "passwd", "passphrase", "passcode", "pin", "otp", "totp", "code", "codes", "pwd", "psk")
_SPOKEN_CODE = re.compile(r"\d{4,10}$|\d{3}[ -]\d{3}$|[A-Za-z0-9]{4,6}-[A-Za-z0-9]{4,6}")
HARMLESS = words(
    """
    a absent argument ask check command contact flag option accepted an and any array at authentication authorization
    aws bad basic
    bearer bool boolean bytes can
    cannot changed char column could default denied describe deprecated dict digest disabled does empty enabled endpoint
    error exists expected expired expires failed failure false field file filtered for format found from given has
    have header hidden iam id if in incorrect input int integer invalid is it jwt key keyword kubernetes ldap length
    list literal managed masked md5 mismatch missing mode must mutual name native never new nil no none not null
    number oauth oauth2 object of off oidc ok on only optional optional[str] or pair parameter parse password path
    policy present prompt protected provided query refused rejected removed required reset revoked role rotated rotation
    rsa saml scram secretstr session set sha256 should str string strong that the then this to token true type unchanged
    undefined unexpected unknown unset unsupported updated url use used user using valid validation value varchar
    version via void was we weak were when where which will with wrong yes you your
    """
)


def is_secret(value: str, name: str, means: Says, *, quoted: bool) -> bool:
    """Whether `value` can be a secret, under a name that means so."""
    if means is not Says.SECRET and len(value) < 16:
        return False
    if is_reference(value) or value.startswith((")", "]", "}", ",", ";")):  # what follows a closing quotation mark
        return False
    value = unquote(unquote(value)).strip()
    if not _SIGN.search(value) or value.lower().rstrip(".,;:!?)") in HARMLESS or is_reference(value):
        return False
    lower = name.lower()
    if value.isdigit() and (len(value) <= 3 or (len(value) <= 9 and not lower.endswith(_NUMBERS))):
        return False
    if lower.endswith(("pin", "otp", "code", "codes")) and not (_SPOKEN_CODE.match(value) or is_mixed(value)):
        return False
    if _PATH.match(value) and not lower.endswith("password"):
        return False
    if not quoted and (_CODE.match(value) or _VARIABLE.match(value)):
        return False
    if means is Says.SECRET:
        return True
    if means is Says.HINT:
        return is_unwritten(value)
    if len(value) < 16 or not is_mixed(value) or _IDENTIFIER.match(value):
        return False
    if lower.endswith("id") and "/" in value:  # where a store keeps it
        return False
    if lower.endswith("key"):
        return " " not in value
    return "-" not in value or not _DIGEST.match(value)


def is_unwritten(value: str) -> bool:
    """Mixed as chance does, or hexadecimal of 128 bits and more; no UUID."""
    return is_opaque(value.rstrip("=")) or _LONG_HEX.match(value) is not None


def is_reference(value: str) -> bool:
    """Whether `value` only tells where the secret comes from, stands in its place, or is public by its form."""
    return any(pattern.match(value) for pattern in (_PLACEHOLDER, _REFERENCE, _PUBLIC, _REMARK))


def is_code(value: str) -> bool:
    return _CODE.match(value) is not None


def is_identifier(value: str) -> bool:
    """A UUID, a plain digest, a date, a number, an address."""
    return _IDENTIFIER.match(value) is not None or _DIGEST.match(value) is not None


def is_spoken_code(value: str) -> bool:
    return _SPOKEN_CODE.match(value) is not None


def is_mixed(value: str) -> bool:
    return _DIGIT.search(value) is not None and _LETTER.search(value) is not None


def label(name: str) -> str:
    lower = name.lower()
    for kind in ("password", "passwd", "pwd", "pass"):
        if kind in lower:
            return "password"
    for kind in ("token", "secret", "key", "cookie", "signature", "sig", "code", "pin", "otp"):
        if kind in lower:
            return {"sig": "signature", "pin": "code", "otp": "code"}.get(kind, kind)
    return "credential"
