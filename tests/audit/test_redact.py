import base64
import html
import json
import re
import string
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kernel_gateway.audit.known import KnownValues
from kernel_gateway.audit.redact import MAX_CHARACTERS, Redactor, redact

GHP = "ghp_" + "a1B2c3D4e5F6" * 3
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"] * 3])


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"pushed with {GHP}.", "pushed with [redacted:github]."),
        (f"\x1b[31m{GHP}\x1b[0m", "[redacted:github]"),
        (f"\\u001b[31m{GHP}\\u001b[0m", "[redacted:github]"),
        (f"gh\u200bp_{GHP[4:]}", "[redacted:github]"),
        ("Authorization: Bearer abc123def456", "Authorization: [redacted:authorization]"),
        ('{"authorization": "Bearer abc123def456"}', '{"authorization": "[redacted:authorization]"}'),
        ("curl -H 'Cookie: a=1; b=2' https://x.y", "curl -H 'Cookie: [redacted:cookie]' https://x.y"),
        ("curl -u alice:wonder https://x.y", "curl -u alice:[redacted:password] https://x.y"),
        ("mysql -h db -psecret1 main", "mysql -h db -p[redacted:password] main"),
        ("postgres://app:p@ss/w0rd@db:5432/x", "postgres://app:[redacted:password]@db:5432/x"),
        ("DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=[redacted:password] ./run"),
        ('{"password": "hun\\"ter2", "job": 7}', '{"password": "[redacted:password]", "job": 7}'),
        ('"{\\"password\\": \\"hunter2\\"}"', '"{\\"password\\": \\"[redacted:password]\\"}"'),
        ("<secret>hunter2</secret>", "<secret>[redacted:secret]</secret>"),
        ("the password is hunter2, sorry", "the password is [redacted:password], sorry"),
        ("run --token abc --n 2", "run --token [redacted:token] --n 2"),
        (
            "GET /v1/files/8f3a?exp=1795250000&kid=k&op=get&sig=abcd1234 200",
            "GET /v1/files/8f3a?[redacted:signed-url] 200",
        ),
        (f"{KEY}\n-----END PRIVATE KEY-----\nnext line", "[redacted:private-key]\nnext line"),
        (f"{KEY}\n(cut)", "[redacted:private-key](cut)"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[redacted:jwt]"),
        ("app:hunter2@tcp(db:3306)/main", "app:[redacted:password]@tcp(db:3306)/main"),
        ("data=" + base64.b64encode(f"key: {KEY}".encode()).decode(), "data=[redacted:encoded]"),
        ("q=" + quote("Cookie: sid=abcdef", safe="") + "&x=1", "q=Cookie%3A%20[redacted:cookie]&x=1"),
    ],
)
def test_a_secret_is_replaced_and_the_rest_is_kept(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "invalid token: expired",
        "password authentication failed for user app",
        "token_count=512 max_tokens: 4096 next_token=abc123def456ghi789",
        "idempotency_key=123e4567-e89b-12d3-a456-426614174000",
        "https://user-content.example.com:8443/a/b.png?width=100&height=50#top",
        "ssh://git@example.com:22/repo.git",
        "def login(password: str, token=None, secret=os.environ['X']): ...",
        "export TOKEN=${CI_TOKEN} SECRET=$SECRET PWD=/home/app",
        "password: ******** token: <your token>",
        "basic authentication is required; Authorization header missing",
        "Cookie policy: accepted",
        "public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq",
        "task-list sk-fading-circle compass: north, monkey=banana",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQ\n-----END CERTIFICATE-----",
        "eyJqb2IiOiAiMTIzIn0=",
        "Traceback (most recent call last):\n  File \"/srv/app.py\", line 7, in run\nKeyError: 'token'",
    ],
)
def test_harmless_text_is_kept_as_it_is(text):
    assert redact(text) == text


@settings(deadline=None)
@given(st.text())
@example("password=[redacted:password]")
@example("\ud800 password=\ud800x1 İ token=a1b2c3d4")
def test_any_text_is_accepted_and_redacting_twice_changes_nothing(text):
    once = redact(text)
    assert redact(once) == once


@settings(deadline=None)
@given(st.text(alphabet="pasword=token:\"' &?#%2Fsig{}[](),;.-_/\\\n\x1b[m<>eyJAKI0123", max_size=300))
def test_text_that_looks_like_a_secret_is_accepted_too(text):
    redact(text)


@settings(deadline=None)
@given(
    st.text(string.ascii_letters + string.digits, min_size=12, max_size=80).filter(
        lambda value: any(c.isdigit() for c in value)
    ),
    st.text(max_size=50),
    st.text(max_size=50),
)
def test_a_password_under_its_name_never_survives_whatever_is_around_it(secret, before, after):
    assume(secret not in before + after)
    assert secret not in redact(f"{before} password={secret} {after}")
    assert secret not in redact(before + json.dumps({"a": before, "password": secret, "b": after}) + after)


def known(value):
    redactor = Redactor()
    redactor.register(value)
    return redactor.redact


VALUE = 'tök/en+with&"odd" chars='


@pytest.mark.parametrize(
    "encode",
    [
        lambda value: value,
        quote,
        lambda value: quote(value, safe=""),
        quote_plus,
        lambda value: quote(quote(value, safe=""), safe=""),
        lambda value: re.sub("%..", lambda match: match[0].lower(), quote(value, safe="")),
        json.dumps,
        lambda value: json.dumps(json.dumps(value)),
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: json.dumps(value).replace("/", "\\/"),
        lambda value: json.dumps(value).replace("&", "\\u0026"),
        html.escape,
        *(
            lambda value, n=n, encode=encode: encode(b"x" * n + value.encode() + b"after").decode()
            for n in range(4)
            for encode in (base64.b64encode, base64.urlsafe_b64encode)
        ),
    ],
)
def test_a_registered_value_is_removed_in_every_encoding(encode):
    redacted = known(VALUE)(f"before {encode(VALUE)} after")
    assert redacted.startswith("before ")
    assert redacted.endswith(" after")
    assert "[redacted:known]" in redacted
    assert len(redacted) < len("before [redacted:known] after") + 16


@settings(deadline=None)
@given(st.text(min_size=8, max_size=40), st.binary(max_size=5), st.binary(max_size=5))
def test_any_registered_value_is_removed_from_any_base64(value, before, after):
    text = base64.b64encode(before + value.encode("utf-8", "replace") + after).decode()
    assert "[redacted:" in known(value)(f" {text} ")


def test_a_redactor_knows_what_it_was_given_and_what_was_registered_since():
    redactor = Redactor(["permanent-value"])
    redactor.register("later-value")
    assert redactor.redact("permanent-value, later-value, other-value") == (
        "[redacted:known], [redacted:known], other-value"
    )
    assert "value" not in repr(redactor)


def test_a_value_of_eight_characters_is_removed_and_a_shorter_one_is_ignored():
    assert known("12345678")("12345678") == "[redacted:known]"
    assert known("1234567")("1234567") == "1234567"


def test_the_oldest_registered_values_are_forgotten_and_the_known_ones_never():
    values = KnownValues(["permanent-value"], max_registered=2)
    for value in ("first-value", "second-value", "first-value", "third-value"):
        values.add(value)

    def seen(value):
        return any(span for span in values.find(f"a {value} b"))

    assert [seen(each) for each in ("first-value", "second-value", "third-value")] == [True, False, True]
    assert seen("permanent-value")
    assert repr(values) == "<KnownValues 1 permanent, 2 registered>"


@pytest.mark.parametrize("escape", ["\x1b]0;a title\x07", "\x1b]8;;\x1b\\", "\\x1b]0;a title\\x07", "\\e]0;a title\\a"])
def test_a_title_cannot_hide_a_registered_value(escape):
    assert known("opaque-value")(f"opa{escape}que-value") == "[redacted:known]"


def test_colours_cannot_hide_a_registered_value():
    assert known("opaque-value")("opa\x1b[31mque-value") == "[redacted:known]"


def test_a_text_at_the_cap_is_read_whole_and_what_is_beyond_it_does_not_pass():
    filler = "word " * (MAX_CHARACTERS // 5)
    whole = filler + "x" * (MAX_CHARACTERS - len(filler))
    assert redact(whole) == whole
    cut = redact(whole + " opaque-and-unseen")
    assert cut.endswith("[redacted:too-long]")
    assert "unseen" not in cut
    assert MAX_CHARACTERS - 4200 < len(cut) < MAX_CHARACTERS + 20


def test_a_shorter_cap_cuts_without_leaving_a_piece_of_a_token():
    redactor = Redactor(["opaque-and-known-value"])
    cut = redactor.redact("word " * 2000 + "opaque-and-known-value", 10_010)
    assert "opaque" not in cut and cut.endswith("[redacted:too-long]")
    assert redactor.redact("word " * 2000, 10_000) == "word " * 2000


def test_a_token_cut_in_two_by_the_cap_does_not_pass_either():
    text = "a" * (MAX_CHARACTERS - 10) + " " + GHP
    assert "ghp_" not in redact(text)
    assert "ghp_" not in redact("a" * (MAX_CHARACTERS - 10) + GHP)


# each line a unit that is repeated for 60,000 characters; a blank stands for itself
HOSTILE = [
    *(
        "a",
        "A1",
        "=",
        ":",
        "://",
        "://a:",
        "%",
        "%3D",
        "%25",
        "%2e%2e",
        "\\",
        "\\u00",
        '"',
        "'",
        "&",
        "&amp;",
        "&quot;",
    ),
    *("password", "password=", "password is ", "token=", "token: ", "token=[", "auth=", "auth=a", "secret,", "key"),
    *(
        "api key ",
        "<password>",
        "--",
        "--token ",
        "AccountKey=",
        "key\n  value:",
        '"key" ',
        "_live_",
        '["',
        "[redacted:",
    ),
    *("sig=1&", "?sig=1&", "?", "?a=b&", "https://a/?x=", "//", "a" * 40 + "/", "..", "\n", "[", "é", "İ", "\u200b"),
    *("-----BEGIN PRIVATE KEY-----", "private key", "-----BEGIN ", "LS0tLS1CRUdJTi", "b3BlbnNzaC1rZXktdjE", "$2b$"),
    *("eyJ", "eyJaaaaaaaaa.", "eyJhbGciOiJIUzI1NiJ9.", "sk-", "sk-a", "ghp_", "SG.", "SG.aaaaaaaaaaaaaaaaaa", "MNO"),
    *(
        "cookie:",
        "cookie: a=b;",
        "<cookie a=",
        "authorization: ",
        "authorization: a ",
        "bearer ",
        "basic ",
        "-us1",
        "q~",
    ),
    *(
        "machine a login b password ",
        "mysql ",
        "mysql -p",
        "private-lines: 1\n",
        "@tcp(",
        "a:b@tcp(",
        "-u a:",
        "v1.local.",
    ),
    *("\x1b[", "\x1b]", "\\x1b[", "\\x1b]", "\\e]", "auth=[", "auth={", 'auth={"', "auth:\n  ", "auth: |\n  ", "pw="),
    *("authorization:", "cookie:a;", "curl ", "curl -u", "code=", "?code=", '"kty"', '{"kty"', '"d":"', "jsessionid="),
    *(
        "signature_scheme",
        "with password ",
        "auth default ",
        '{"signature_scheme"',
        '{"key":"aaaaaaaa","signature_scheme"',
        "private key-----",
    ),
    *("-----END PRIVATE KEY-----", "AAAA\n-----END PRIVATE KEY-----", "AAAA\\n", "password" + "." * 60, "password | "),
    *("sec-websocket-protocol: ", "sec-websocket-protocol: token.a.,", "token.websocket.jupyter.org.", ":5432:a:b"),
    *("into ", "into a(", "into a(pw) values (1),", "into a(pw) values ('',", "into a(pw) values ('", "(1),"),
    *(
        ",pw\n",
        "a,pw\n",
        "a,pw\\n",
        "a,pw\nb,c1\n",
        "a,b\n",
        "mot de passe ",
        "contraseña: ",
        "пароль",
        "senha=",
        "<a:pw",
    ),
    *(
        "\\" * 14 + "n",
        "password: |\\n",
        'name="password"\\n',
        "https://" + "a1" * 30 + ":",
        "\\&quot;",
        "password -> ",
    ),
    *("input_value=", "input_value='a", "a\ninput_value='", "identified by ", "auth plain ", "password: abc abc abc "),
]


@pytest.mark.timeout(100)
def test_a_hostile_text_takes_time_in_proportion_to_its_length():
    """Anything worse than linear would not end within the timeout: it would be thousands of times as long."""
    for unit in HOSTILE:
        for repeated in (unit, unit + "x", unit + " "):
            text = (repeated * (60_000 // len(repeated)))[:60_000]
            redact(text + "$")
