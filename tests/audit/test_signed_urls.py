import html
import json
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel_gateway.audit.links import is_signed_url, signed_urls
from kernel_gateway.audit.redact import redact

SIGNED = {
    "S3 v4": "https://b.s3.amazonaws.com/k.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0a1b2c",
    "S3 v4 without its signature": "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA%2F2026&X-Amz-Date=20261121T000000Z",
    "S3 v2": "https://s3.amazonaws.com/b/k?AWSAccessKeyId=ABCD&Expires=1795250000&Signature=abc%2Bdef%3D",
    "GCS": "https://storage.googleapis.com/b/o?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Signature=0a1b2c",
    "GCS v2": "https://storage.googleapis.com/b/o?GoogleAccessId=a%40b&Expires=1795250000&Signature=abcd",
    "resumable upload": "https://storage.googleapis.com/upload/b/o?uploadType=resumable&upload_id=ADPycdvbX",
    "Azure SAS": "https://a.blob.core.windows.net/c/b?sv=2024-11-04&se=2026-11-22&sr=b&sp=r&sig=abc%3D",
    "Azure SAS without its signature": "https://a.blob.core.windows.net/c/b?sv=2024-11-04&se=2026-11-22&sp=rwdl",
    "CloudFront": "https://d1.cloudfront.net/a?Expires=1795250000&Key-Pair-Id=K2JC&Signature=abcd",
    "CloudFront policy": "https://d1.cloudfront.net/a?Policy=eyJTd&Key-Pair-Id=K2JC",
    "ours": "http://127.0.0.1:9000/v1/files/8f3a?exp=1795250000&kid=k1&op=put&sig=abcd",
    "OSS": "https://b.oss-cn-x.aliyuncs.com/o?OSSAccessKeyId=LTAI&Expires=1795250000&Signature=abcd",
    "Akamai": "https://cdn.example.com/a.mp4?hdnts=exp=1795250000~acl=/*~hmac=abcd",
    "Discord": "https://cdn.discordapp.com/a.png?ex=65d903de&is=65c68ede&hm=2481f3",
    "nginx": "https://cdn.example.com/a.mp4?md5=2OYp7mYo0mcMBpH8EDWNOA&expires=1795250000",
    "nginx with short names": "https://cdn.example.com/a.mp4?st=2OYp7mYo0mcMBpH8EDWNOA&e=1795250000",
    "token": "https://example.com/download?token=abcd1234",
    "access token in the fragment": "https://example.com/cb#access_token=abcd1234&state=x",
    "api key": "https://example.com/v1/x?api_key=abcd1234",
    "vendor signature": "https://example.com/x?X-Acme-Signature=abcd",
    "login": "https://user:pass1@example.com/x?y=1",
    "login without a query": "https://user:pass1@example.com/x/y",
    "login of a database": "postgresql://user:pass1@db:5432/x",
    "login without a name": "https://:pass1@example.com/x",
    "shouted": "https://example.com/x?SIG=abcd",
    "semicolons": "https://example.com/x?a=1;sig=abcd",
    "encoded name": "https://example.com/x?%73ig=abcd",
    "inside another": "https://example.com/r?to=https%253A%252F%252Fb%252F%253Fsig%253Dabcd",
}
PLAIN = [
    "https://example.com/v1/jobs?page=2&limit=50&sort=created",
    "https://example.com/v1/jobs?page_token=abcd1234&next_token=abcd1234",
    "https://example.com:8443/a?q=what+is+a+token",
    "https://example.com/a?signed=true&design=abcd&key=photo.png",
    "https://example.com/#signature",
    "https://example.com/token/signature/abcd",
    "https://example.com/x?expires=1795250000",
    "https://example.com/x?sig=",
    "https://example.com/x?md5=2OYp7mYo0mcMBpH8EDWNOA&page=2",
    "https://example.com/x?s=a-name-that-is-long&t=1795250000000",
    "https://user@example.com/x",
    "https://example.com:8443/@user",
    "https://example.com/@user:name/x",
    "git@example.com:team/repository.git",
    "mailto:user@example.com",
    "a sentence? with token=abcd in it",
    "",
]
WRITINGS = {
    "as it is": str,
    "percent-encoded": lambda url: quote(url, safe=""),
    "percent-encoded twice": lambda url: quote(quote(url, safe=""), safe=""),
    "HTML": html.escape,
    "JSON of Go": lambda url: url.replace("&", "\\u0026"),
    "JSON of PHP": lambda url: json.dumps(url).strip('"').replace("/", "\\/"),
    "scheme-relative": lambda url: url.split(":", 1)[1],
    "path only": lambda url: "/" + url.split("/", 3)[3],
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("kind", SIGNED)
def test_a_signed_url_is_recognised_however_it_is_written(kind, writing):
    if kind.startswith("login") and writing in {"path only", "percent-encoded", "percent-encoded twice"}:
        url = WRITINGS[writing](SIGNED["ours"])  # a path holds no login, and one in an encoded URL is for redaction
    else:
        url = WRITINGS[writing](SIGNED[kind])
    assert is_signed_url(url)
    for before, after in (("", ""), ("see ", " now"), ('{"url": "', '"}'), ("(", ")."), ("<a href='", "'>")):
        text = before + url + after
        assert [text[start:end] for start, end in signed_urls(text)] == [url]


@pytest.mark.parametrize("url", PLAIN)
def test_a_plain_url_is_not_taken_for_a_signed_one(url):
    assert not is_signed_url(url)
    assert signed_urls(f"see {url} now") == []


@pytest.mark.parametrize("writing", ["as it is", "percent-encoded", "JSON of PHP"])
@pytest.mark.parametrize("kind", [kind for kind in SIGNED if kind.startswith("login")])
def test_a_url_with_a_password_is_sensitive_as_a_whole_and_redaction_takes_the_password(kind, writing):
    url = WRITINGS[writing](SIGNED[kind])
    assert [f"see {url}, now"[start:end] for start, end in signed_urls(f"see {url}, now")] == [url]
    assert "pass1" not in redact(f"see {url}, now") and "now" in redact(f"see {url}, now")


def test_each_of_several_urls_is_judged_for_itself():
    text = f"{PLAIN[0]},{SIGNED['ours']},{PLAIN[1]} {SIGNED['token']}"
    assert [text[start:end] for start, end in signed_urls(text)] == [SIGNED["ours"], SIGNED["token"]]


def test_a_signature_shorter_than_four_characters_is_none():
    assert is_signed_url("https://example.com/x?sig=abcd")
    assert not is_signed_url("https://example.com/x?sig=abc")


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_accepted_and_the_places_are_in_order_and_apart(text):
    places = signed_urls(text)
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(first[1] <= second[0] for first, second in pairwise(places))


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(sorted(SIGNED)))
def test_no_text_around_it_hides_a_signed_url(before, after, kind):
    if not kind.startswith("login"):
        text = f"{before} {SIGNED[kind]} {after}"
        assert any(text[start:end] == SIGNED[kind] for start, end in signed_urls(text))
