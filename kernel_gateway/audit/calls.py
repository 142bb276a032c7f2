"""Secrets that a call takes in a fixed place: `HTTPBasicAuth("name", "secret")`, `jwt.encode(claims, "secret")`."""

import re
from collections.abc import Iterator

from kernel_gateway.audit.judge import HARMLESS, is_reference
from kernel_gateway.audit.spans import QUOTE, Rule, Rules, Span

# which argument, then what is called, in lower case: the end of its name
_CALLS = """
1   fernet keycredential tokencredential secretkeyspec hmac.new hmacsha256 hmacsha512 securerandomkey auth.token
1   sethmackey
1   createsecretkey newhmac secretbox keyauth tokenauth authenticationtoken
2   .login basicauth digestauth proxyauth basic_auth networkcredential passwordcredentials passwordcredential
2   passwordauthentication createhmac jwt.encode jwt.sign jwt.verify jwt.decode credentialsprovider awscredentials
2   staticcredentials .auth changeuserpassword authenticate plainauthenticator passwordauthenticator hash_hmac
2   passwordauthenticationtoken sharedkeycredential namedkeycredential userpass ftp_login basiccredentials
3   mysqli_connect drivermanager.getconnection secretcredential pdo plainauth ldap_bind pymysql.connect
3   mysqldb.connect mysql.connector.connect pg_connect oci_connect odbc_connect sqlsrv_connect imap_open
"""
_ARGUMENT = rf"(?:[bru]{{0,2}}{QUOTE}[^\"'`\\\n]{{0,128}}{QUOTE}|[\w.$>:\[\]-]{{1,64}}(?:\([^()\n]{{0,64}}\))?)"
_PLAIN = re.compile(
    r"(?i:h?s\d{3}|sha-?\d{1,3}|md5|utf-?8|aes\S*"
    r"|[\w.+-]+@[\w.-]+|https?:.*)$|[A-Z]?[a-z]{1,8}$|[a-z]+(?:[ _].*)?[:?]?$"
)


def _rules() -> Iterator[Rule]:
    for line in _CALLS.strip().splitlines():
        place, *names = line.split()
        before = rf"(?:{_ARGUMENT}\s{{0,16}},\s{{0,16}}){{{int(place) - 1}}}"
        value = rf"(?:[bru](?=[\"']))?{QUOTE}((?:(?!{QUOTE})[^\n]){{6,512}}){QUOTE}"
        for name in names:
            pattern = rf"(?i:{re.escape(name)})(?:\.new)?\(\s{{0,16}}{before}{value}"
            yield Rule(name, re.compile(pattern), "secret")


_RULES = Rules(_rules())


def find(text: str, lower: str) -> Iterator[Span]:
    for span in _RULES.find(text, lower):
        value = text[span.start : span.end]
        if value not in HARMLESS and not is_reference(value) and not _PLAIN.match(value):
            yield span
