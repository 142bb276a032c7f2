"""Which names call a secret by its name: `db_password`, `X-Api-Key`, `clientSecret`; not `token_count`, `cache_key`."""

import json
import re
from enum import IntEnum
from functools import lru_cache


class Says(IntEnum):
    """What a name says about the value that follows it."""

    NOTHING = 0
    HINT = 1  # a secret if nobody can have written the value
    MAYBE = 2  # a secret if it also looks like one
    SECRET = 3


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def escaped(word: str) -> tuple[str, str, str]:
    once = json.dumps(word)[1:-1]
    return word, once, json.dumps(once)[1:-1]


_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# parts after the one that matters: SECRET_KEY_BASE, password2, token_v2, API_KEY_PROD
_TRAILING = words(
    """
    admin again b backup base base64 confirm confirmation confirmed current data db default dev enc encoded encrypted
    env header
    hex input internal literal live main master new old pem plain plaintext prev previous primary prod production qa
    raw readonly replica ro root rw
    sandbox secondary staging str string test text v val value
    """
)
_SECRET = words(
    "apikey apitoken jwt keyphrase mnemonic otp pass passwords passwrd pepper pin pincode psk psswd pswd pw pword"
    " secrets sshpass totp xprv"
)
_SECRET_ENDINGS = tuple(words("apikey passcode passphrase passwd password passwort passwrd pwd secret token"))
# "backup code", "seed phrase", "otp seed": what the last word says only after one of these
_SECRET_AFTER = {
    "code": words(
        """
        access activation auth authentication authorization backup bypass confirmation device fa factor invite login mfa
        otp pairing pass passcode pin recovery reset scratch security sms sudo tfa time totp twofactor unlock use
        verification voucher
        """
    ),
    "phrase": words("backup mnemonic pass recovery secret seed wallet"),
    "words": words("backup mnemonic recovery secret seed wallet"),
    "seed": words("crypto factor hd keyring master mfa mnemonic otp root secret totp wallet"),
    "word": words("pass"),
    "community": words("ro rw snmp snmpv2 read write"),
    "pin": words("card device door login phone sim user"),
    "hash": words("password passwd pwd"),
}
_ANIMALS = words("donkey hockey jockey monkey turkey whiskey")  # end as keys do, and are none
_PLAIN_PASSES = words("bypass compass encompass overpass surpass trespass underpass")
_PLAIN_PINS = words(
    "board button cs data dc echo enable gpio input irq led miso mosi output relay reset sck scl sda sensor tx rx"
)
# "password" in other languages; in JSON escaped once or twice
_WORDS = (
    "kennwort",
    "mot de passe",
    "mot_de_passe",
    "motdepasse",
    "contraseña",
    "contrasena",
    "senha",
    "пароль",
    "密码",
)
FOREIGN_WORDS = tuple(dict.fromkeys(form for word in _WORDS for form in escaped(word)))
FOREIGN = re.compile("|".join(map(re.escape, FOREIGN_WORDS)), re.IGNORECASE)
_MAYBE = words(
    "auth authorization cookie cookies cred credential credentials creds hmac oauth salt sas sig signature sid"
    " sessionid"
)
# what may be one, by its value alone
_HINTS = words("access bearer keytab kek dek pat refresh private session")
# what tells something about a secret, and no secret itself
_ABOUT = words(
    """
    age algorithm alg arn at audience auth backend bucket by cache cert change changed class cleanup client cls
    column config
    count counter created date day days digest dir duration enabled endpoint error event exp expires expiry expiration
    field file filter fingerprint flow format generator group handler hash hasher header hint hours id identifier ids
    idx
    index info interval issuer kid kind label lang last length level lifetime limit link list location log manager max
    mechanism message metadata method min minutes mode model module name namespace names number owner page path pattern
    pipeline plugin policy pool position prefix provider public range rate ref reference region regex request required
    reset resolver response role rotation rule rules salt schema scope scopes seconds selector sequence server service
    sha sha256 size source spec start state status storage store strategy strength subject suffix sum table tag target
    task template test text thumbprint time timeout timestamp title total ttl type uid unit until updated uri url usage
    use used user username uuid valid validator version view volume warning
    """
)
# tokens of paging, language models and locks are no secrets
_PLAIN_TOKENS = words(
    """
    bos cancel cancellation change class cls completion continuation cursor design end eos existing expected fencing
    first invalid last lexer lock mask max min missing n next num number pad page pagination parse parser per
    progress prompt public resume sep special start stop sync total unexpected unk unknown used
    """
)
# a secret of which only the name is told
_PLAIN_SECRETS = words("existing kubernetes pull image k8s")
# "api_key", "apikey"
_SECRET_KEYS = words(
    """
    access account acct admin aes api apns app application auth authorized bearer bot bus byok client consumer cosmos
    crypto cryptography decryption deploy deployment des ec ecdsa ed25519 encrypt encryption fernet function
    functions global gpg hec hmac hub ingest ingestion integration jwe jwt kek ldap licence license
    live management maps master merchant monitoring openai owner passwordless personal pgp prod production prs psk
    push recovery rest rndc root rsa sandbox sas sdk search secret send server service shared sign
    signing ssh ssl stream streaming stripe subscription symmetric tls token tsig unseal vault wallet webhook write
    x25519
    """
)
_KEY_ENDINGS = ("secret", "access", "private", "signing", "encryption", "shared", "master", "api", "admin")
_PLAIN_KEYS = words(
    """
    agg aggregate answer arrow attribute batch bucket by cache candidate category chunk clustering column component
    composite config context correlation country current customer dataset date dedup deduplication default dict
    dictionary distribution document down entity enter entry enum error escape event feature field file first fk flag
    foreign form group hash header host hot i18n id idempotency image index input item job join json k key
    keyboard known label language last left locale localization location lock lookup map media message meta metadata
    metric missing name natural next node object option order pair parameter parent part partition path pk
    prefix press previous product project property pub public publishable query random range record redis
    registry report request reserved resource result right rk route routing row s s3 schema section segment setting
    shard sharding shift short site slot sort source space state string style surrogate tab table
    tag target task template tenant text theme thread topic translation tree type ui uniq unique up upload user value
    variable version view vote websocket word xattr yaml
    """
)


def in_english(name: str) -> str:
    return FOREIGN.sub("_password", name)


@lru_cache(maxsize=4096)
def says(name: str) -> Says:
    parts = [part.lower() for part in _PARTS.findall(in_english(name))]
    if parts[:1] == ["is"] or parts[:1] == ["has"]:
        return Says.NOTHING
    while len(parts) > 1 and (parts[-1] in _TRAILING or parts[-1].isdigit()):
        parts.pop()
    if not parts:
        return Says.NOTHING
    *before, last = parts
    if (singular := _singular(last)) is not None:
        means = _says(before, singular)
        return means if singular == "code" else min(means, Says.MAYBE)
    means = _says(before, last)
    return max(means, _hint(parts)) if means is Says.NOTHING else means


def _hint(parts: list[str]) -> Says:
    """Where a secret is named first, and then whose it is: `token_github`, `api_key_for_billing`."""
    if parts[-1] in _ABOUT or parts[-1].isdigit():
        return Says.NOTHING
    if parts[-1] in _HINTS:
        return Says.HINT if len(parts) > 1 and parts[-2] not in _PLAIN_TOKENS else Says.NOTHING
    named = any(_says(parts[:at], part) is Says.SECRET for at, part in enumerate(parts[:-1]) if at < 6)
    return Says.HINT if named and _ABOUT.isdisjoint(parts[1:]) else Says.NOTHING


def _singular(word: str) -> str | None:
    plural = word.endswith("s") and word not in _SECRET | _MAYBE and not word.endswith("pass")
    return word[:-1] if plural else None


def _says(before: list[str], last: str) -> Says:
    before = [part for part in before if not part.isdigit()]
    prior = before[-1] if before else ""
    if prior in {"public", "pub", "publishable", "no", "existing"}:
        return Says.NOTHING
    if last in {"secrets", "secret"} and prior in _PLAIN_SECRETS:
        return Says.NOTHING  # the names of some
    if last == "id" and prior == "secret":
        return Says.MAYBE  # of an AppRole in Vault; in AWS a name
    if last == "pin" and prior in _PLAIN_PINS:
        return Says.NOTHING
    if last in _SECRET_AFTER and last != "pin":
        return Says.SECRET if prior in _SECRET_AFTER[last] else Says.NOTHING
    if last.endswith("token") and prior in _PLAIN_TOKENS:
        return Says.NOTHING
    if (
        last in _SECRET
        or last.endswith(_SECRET_ENDINGS)
        or last in ("rootpw", "adminpw", "bindpw", "dbpw")
        or (last.endswith("pass") and last not in _PLAIN_PASSES)
    ):
        return Says.SECRET
    if last in _ANIMALS:
        return Says.NOTHING
    if last.endswith("key") and (of := last.removesuffix("key") or prior):
        if of in _PLAIN_KEYS or (of == "primary" and len(before) == 1):
            return Says.NOTHING
        return Says.SECRET if of in _SECRET_KEYS or of.endswith(_KEY_ENDINGS) or "x" in before[:1] else Says.MAYBE
    return Says.MAYBE if last in _MAYBE else Says.NOTHING
