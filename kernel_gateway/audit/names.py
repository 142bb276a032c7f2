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
    again b backup base base64 confirm confirmation current dev enc encoded encrypted env header live main new old
    plain plaintext prev previous primary prod production raw secondary staging str test text v val value
    """
)
_SECRET = words("apikey apitoken jwt pass passwords psk pw secrets sshpass")
_SECRET_ENDINGS = tuple(words("passcode passphrase passwd password passwort pwd secret token"))
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
_MAYBE = words("auth authorization cookie cookies cred credential credentials creds hmac oauth pat sas sig signature")
# tokens of paging, language models and locks are no secrets
_PLAIN_TOKENS = words(
    """
    bos cancel cancellation change cls completion continuation cursor eos expected fencing first invalid last lock
    mask max min next num pad page pagination per progress prompt resume sep special stop sync unexpected unk
    """
)
# "api_key", "apikey"
_SECRET_KEYS = words(
    """
    access account admin aes api app application auth bot client consumer crypto decryption deploy encrypt encryption
    function functions gpg hmac ingest integration jwt licence license master pgp private recovery root rsa sdk secret
    server service shared sign signing ssh ssl subscription symmetric tls vault wallet webhook write
    """
)
_PLAIN_KEYS = words(
    """
    bucket cache candidate column composite config data dedup deduplication dict event file foreign group hash host
    idempotency image index job join json kms known lookup map message metadata natural object order pair partition
    primary pub public range registry request routing row s session setting shard sharding sort storage surrogate
    table translation unique upload websocket
    """
)


def in_english(name: str) -> str:
    return FOREIGN.sub("_password", name)


@lru_cache(maxsize=4096)
def says(name: str) -> Says:
    parts = [part.lower() for part in _PARTS.findall(in_english(name))]
    while len(parts) > 1 and (parts[-1] in _TRAILING or parts[-1].isdigit()):
        parts.pop()
    if not parts:
        return Says.NOTHING
    *before, last = parts
    prior = before[-1] if before else ""
    if last == "secrets" and prior == "pull":
        return Says.NOTHING  # the names of some
    if last == "id" and prior == "secret":
        return Says.MAYBE  # of an AppRole in Vault; in AWS a name
    if last == "hash":
        return Says.SECRET if prior in {"password", "passwd", "pwd"} else Says.NOTHING
    if last.endswith("token") and prior in _PLAIN_TOKENS:
        return Says.NOTHING
    if last in _SECRET or last.endswith(_SECRET_ENDINGS):
        return Says.SECRET
    if last.endswith("key") and (of := last.removesuffix("key") or prior):
        if of in _PLAIN_KEYS:
            return Says.NOTHING
        return Says.SECRET if of in _SECRET_KEYS or "x" in before[:1] else Says.MAYBE
    if last in _MAYBE and (last != "pat" or prior):
        return Says.MAYBE
    return Says.NOTHING
