"""Which links point to a server's storage, and where a text speaks of it."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.upstreams.hosts import REDACTED, StorageHosts

HOSTS = StorageHosts(["files.test", "127.0.0.1:9000"])


@pytest.mark.parametrize(
    "url",
    ["https://files.test/a?sig=1", "HTTPS://FILES.TEST/a", "https://files.test:443/a", "http://127.0.0.1:9000/x#f"],
)
def test_links_to_the_storage_are_held(url):
    assert HOSTS.hold(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.test:8443/a",
        "https://files.test.evil.test/a",
        "https://evilfiles.test/a",
        "https://files.test@evil.test/a",
        "https://user@files.test/a",
        "https://evil.test/https://files.test/a",
        "https://evil.test\\@files.test/a",
        "http://127.0.0.1:9001/x",
        "http://127.0.0.1/x",
        "ftp://files.test/a",
        "//files.test/a",
        "files.test/a",
        "see https://files.test/a",
        "https://files.test/a\nhttps://files.test/b",
        "",
    ],
)
def test_anything_else_is_not(url):
    assert not HOSTS.hold(url)


@given(
    before=st.text(max_size=20),
    after=st.text(max_size=20),
    url=st.sampled_from(["https://files.test/a/b?sig=s3cr3t", "http://127.0.0.1:9000/f?sig=s3cr3t"]),
    disguise=st.sampled_from(
        [
            lambda url: url,
            str.upper,
            lambda url: quote(url, safe=""),
            lambda url: quote(quote(url, safe=""), safe=""),
            lambda url: url.replace("/", "\\/"),
            lambda url: url.replace("&", "&amp;").replace(":", "&#58;"),
        ]
    ),
)
def test_a_text_that_names_the_storage_loses_the_link(before, after, url, disguise):
    cleaned = HOSTS.redact(f"{before} {disguise(url)} {after}")
    assert "s3cr3t" not in cleaned.lower()
    assert REDACTED in cleaned
    assert not HOSTS.mentioned(cleaned)


@given(st.text())
def test_other_text_is_left_alone(text):
    assert HOSTS.redact(text) == text or HOSTS.mentioned(text)


def test_words_around_a_link_stay():
    assert HOSTS.redact("get it at https://files.test/a?sig=1 soon") == f"get it at {REDACTED} soon"


@pytest.mark.parametrize(
    "entry", ["https://files.test", "files.test/path", "a b", "user@files.test", "", "*.files.test"]
)
def test_an_entry_that_is_no_host_is_refused(entry):
    with pytest.raises(ValueError, match="not a host"):
        StorageHosts([entry])


@given(
    scheme=st.sampled_from(["https://", "HTTP://", "//", ""]),
    before=st.text(max_size=10),
    odd=st.sampled_from(["", "files.test", "@files.test/", "xn--a", "[::1", "[::1]:99999", ":999999", "\u2100.test"]),
    after=st.text(max_size=10),
)
def test_hostile_text_is_judged_without_an_exception(scheme, before, odd, after):
    HOSTS.hold(scheme + before + odd + after)
    assert not HOSTS.mentioned(HOSTS.redact(scheme + before + odd + after))
