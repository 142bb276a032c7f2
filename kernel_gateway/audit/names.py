"""Which names call a secret by its name: `db_password`, `X-Api-Key`, `clientSecret`; not `token_count`, `cache_key`."""

import json
import re
from enum import IntEnum
from functools import lru_cache


class Says(IntEnum):
    """What a name says about the value that follows it."""

    NOTHING = 0
    MAYBE = 1  # a secret if it also looks like one
    SECRET = 2


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def escaped(word: str) -> tuple[str, str, str]:
    once = json.dumps(word)[1:-1]
    return word, once, json.dumps(once)[1:-1]


_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# parts after the one that matters: SECRET_KEY_BASE, password2, token_v2, API_KEY_PROD
_TRAILING = words(
    """
    again b backup base base64 confirm confirmation confirmed current data dev enc encoded encrypted env header
    hex input literal live main new old pem plain plaintext prev previous primary prod production raw
    sandbox secondary staging str string test text v val value
    """
)
_SECRET = words("apikey apitoken jwt mnemonic otp pass passwords pin pincode psk pw secrets sshpass totp")
_SECRET_ENDINGS = tuple(words("apikey passcode passphrase passwd password passwort pwd secret token"))
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
    "seed": words("factor hd mfa mnemonic otp totp wallet"),
    "community": words("ro rw snmp snmpv2 read write"),
    "pin": words("card device door login phone sim user"),
    "hash": words("password passwd pwd"),
    "pat": words("access azure devops git github gitlab jira personal user"),
}
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
    return _says(before, last)


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
    if last in _SECRET or last.endswith(_SECRET_ENDINGS) or (last.endswith("pass") and last not in _PLAIN_PASSES):
        return Says.SECRET
    if last.endswith("key") and (of := last.removesuffix("key") or prior):
        if of in _PLAIN_KEYS or (of == "primary" and len(before) == 1):
            return Says.NOTHING
        return Says.SECRET if of in _SECRET_KEYS or of.endswith(_KEY_ENDINGS) or "x" in before[:1] else Says.MAYBE
    return Says.MAYBE if last in _MAYBE else Says.NOTHING
