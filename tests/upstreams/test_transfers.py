"""Blob bytes to and from a storage: only its hosts, only the address that was checked, only so many."""

import asyncio
import datetime
import ipaddress
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kernel_gateway.audit.redact import Redactor
from kernel_gateway.upstreams.addresses import resolve
from kernel_gateway.upstreams.base import UpstreamError
from kernel_gateway.upstreams.client import client
from kernel_gateway.upstreams.hosts import StorageHosts
from kernel_gateway.upstreams.transfer import Transfer


@pytest.fixture
async def transfer():
    """transfer(hosts, ...) -> a Transfer that is closed afterwards"""
    made = []

    told = {"redact": Redactor(["hush-hush"]).redact, "clock": lambda: 1_800_000_000.0}

    def make(*hosts, resolve=resolve, allow_private=True, verify=True):
        http = client(max_connections=4, keep_alive=False, verify=verify)
        made.append(Transfer("things", StorageHosts(hosts), http, resolve, allow_private=allow_private, **told))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def fetch(transfer, url, max_bytes=1000, deadline_seconds=5.0):
    return await transfer.fetch(url, max_bytes=max_bytes, deadline_seconds=deadline_seconds)


async def refusal(awaitable):
    with pytest.raises(UpstreamError) as refused:
        await awaitable
    assert "127.0.0.1" not in refused.value.message and "sig" not in refused.value.message
    return refused.value


def send(data, status=200, **headers):
    def respond(handler):
        handler.set_status(status)
        for name, value in headers.items():
            handler.set_header(name.replace("_", "-"), value)
        handler.write(data)

    return respond


async def test_bytes_come_back_with_their_type(loopback, transfer):
    server = await loopback(send(b"\x00PNG", Content_Type="image/png; x=1"))
    assert await fetch(transfer(server.host), server.url + "/f?sig=1#x") == (b"\x00PNG", "image/png")
    (request,) = server.seen
    assert request.uri == "/f?sig=1" and request.headers["Host"] == server.host
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(("size", "accepted"), [(1000, True), (1001, False)])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_blob_may_fill_the_cap_but_not_pass_it(loopback, transfer, size, accepted, declared):
    async def respond(handler):
        handler.write(b"x" * size)
        if not declared:
            await handler.flush()

    server = await loopback(respond)
    if accepted:
        assert len((await fetch(transfer(server.host), server.url))[0]) == size
    else:
        assert (await refusal(fetch(transfer(server.host), server.url))).code == "too_large"


async def test_a_redirect_is_not_followed(loopback, transfer):
    server = await loopback(
        lambda handler: handler.redirect(f"http://127.0.0.1:{handler.request.host.split(':')[1]}/other")
    )
    refused = await refusal(fetch(transfer(server.host), server.url + "/f"))
    assert refused.code == "upstream_invalid" and len(server.seen) == 1


async def test_a_body_shorter_than_declared_is_invalid(transfer):
    async def short(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(short, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert (await refusal(fetch(transfer(host), f"http://{host}/f"))).code == "upstream_invalid"
    server.close()
    await server.wait_closed()


async def test_compressed_bytes_are_refused(loopback, transfer):
    server = await loopback(send(b"\x1f\x8b", Content_Encoding="gzip"))
    assert (await refusal(fetch(transfer(server.host), server.url))).code == "upstream_invalid"


async def test_a_storage_that_stalls_meets_the_deadline(loopback, transfer):
    released = asyncio.Event()
    server = await loopback(lambda handler: released.wait())
    assert (await refusal(fetch(transfer(server.host), server.url, deadline_seconds=0.05))).code == "deadline"
    released.set()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_spent_link_is_not_found(loopback, transfer, status):
    server = await loopback(send(b"", status))
    refused = await refusal(fetch(transfer(server.host), server.url))
    assert refused.code == "not_found" and "the link has expired or was used" in refused.message


async def test_other_hosts_are_never_contacted(loopback, transfer):
    server, other = await loopback(send(b"ok")), await loopback(send(b"no"))
    for url in (other.url, f"http://{server.host}@{other.host}/", f"http://user@{server.host}/", "file:///etc/passwd"):
        refused = await refusal(fetch(transfer(server.host), url))
        assert (refused.code, refused.sent) == ("upstream_invalid", False)
    assert server.seen == other.seen == []


async def test_private_addresses_need_the_setting(loopback, transfer):
    server = await loopback(send(b"ok"))
    refused = await refusal(fetch(transfer(server.host, allow_private=False), server.url))
    assert (refused.code, refused.sent) == ("upstream_invalid", False) and server.seen == []


async def test_a_name_with_one_forbidden_address_is_not_trusted_at_all(loopback, transfer):
    async def mixed(host, port):
        return ["93.184.216.34", "169.254.169.254"]

    refused = await refusal(fetch(transfer("files.test", resolve=mixed), "https://files.test/f"))
    assert refused.code == "upstream_invalid"


async def test_a_name_is_looked_up_once_and_the_checked_address_is_used(loopback, transfer):
    server = await loopback(send(b"ok"))
    asked = []

    async def rebinding(host, port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    host = f"files.test:{server.port}"
    assert (await fetch(transfer(host, resolve=rebinding), f"http://{host}/f"))[0] == b"ok"
    assert asked == ["files.test"] and server.seen[0].headers["Host"] == host


async def test_plain_http_is_for_loopback_only(transfer):
    async def private(host, port):
        return ["10.0.0.1"]

    refused = await refusal(fetch(transfer("files.test", resolve=private), "http://files.test/f"))
    assert refused.code == "upstream_invalid" and "https" in refused.message


async def test_an_unknown_name_is_unavailable(transfer):
    async def unknown(host, port):
        raise socket.gaierror

    refused = await refusal(fetch(transfer("files.test", resolve=unknown), "https://files.test/f"))
    assert (refused.code, refused.sent) == ("upstream_unavailable", False)


async def test_the_next_address_is_tried_where_one_does_not_answer(loopback, transfer):
    server = await loopback(send(b"ok"))

    async def two(host, port):
        return ["127.0.0.2", "127.0.0.1"]  # nothing listens on the first

    host = f"files.test:{server.port}"
    assert (await fetch(transfer(host, resolve=two), f"http://{host}/f"))[0] == b"ok"


async def test_a_put_carries_the_signed_headers_but_not_the_transports_own(loopback, transfer):
    server = await loopback(lambda handler: handler.set_status(204))
    headers = {
        "Content-Type": "image/png",
        "X-Amz-Acl": "private",
        "Host": "evil.test",
        "Content-Length": "1",
        "Cookie": "c",
    }
    await transfer(server.host).store(server.url + "/f?sig=1", b"data", headers=headers, deadline_seconds=5)
    (request,) = server.seen
    assert (request.method, request.body, request.headers["Host"]) == ("PUT", b"data", server.host)
    assert request.headers["Content-Type"] == "image/png" and request.headers["X-Amz-Acl"] == "private"
    assert request.headers["Content-Length"] == "4" and "Cookie" not in request.headers


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((400, "invalid"), (403, "not_found"), (404, "not_found"), (409, "conflict"), (410, "not_found")),
        *((413, "too_large"), (415, "invalid"), (422, "invalid"), (429, "limited"), (418, "upstream")),
        *((202, "upstream"), (500, "upstream"), (503, "upstream_unavailable")),
    ],
)
async def test_a_refused_put_says_how(loopback, transfer, status, code):
    server = await loopback(send(b"", status))
    refused = await refusal(transfer(server.host).store(server.url, b"x", headers={}, deadline_seconds=5))
    assert (refused.code, refused.sent, refused.http_status) == (code, True, status)


async def test_a_refusals_own_words_are_passed_on_redacted_and_cut(loopback, transfer):
    problem = {"Content_Type": "application/problem+json"}
    server = await loopback(send({"title": "Not taken", "detail": "the bytes are\nnot image/jpeg"}, 415, **problem))
    refused = await refusal(transfer(server.host).store(server.url, b"x", headers={}, deadline_seconds=5))
    assert refused.message == "the storage of `things` answered 415: Not taken: the bytes are not image/jpeg"
    server.respond = send({"detail": f"see http://{server.host}/f?sig=abcd of hush-hush " * 50}, 400, **problem)
    refused = await refusal(transfer(server.host).store(server.url, b"x", headers={}, deadline_seconds=5))
    assert len(refused.message) <= 500 and "hush" not in refused.message and "abcd" not in refused.message


@pytest.mark.parametrize("data", [b"<Error><Code>AccessDenied</Code></Error>", b"", b"x" * 100_000])
async def test_a_refusal_without_a_problem_is_its_status_alone(loopback, transfer, data):
    server = await loopback(send(data, 422, Content_Type="application/xml"))
    refused = await refusal(fetch(transfer(server.host), server.url))
    assert refused.message == "the storage of `things` answered 422"


@pytest.mark.parametrize(("header", "wait"), [("7", 7.0), ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0), ("soon", 1.0)])
async def test_a_storage_with_a_rate_limit_says_when_to_come_back(loopback, transfer, header, wait):
    server = await loopback(send(b"", 429, Retry_After=header))
    refused = await refusal(fetch(transfer(server.host), server.url))
    assert (refused.code, refused.retry_after) == ("limited", wait)


def certificate(name):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return cert.public_bytes(Encoding.PEM), private


@pytest.mark.parametrize(("named", "accepted"), [("files.test", True), ("other.test", False)])
async def test_tls_still_proves_the_name_when_the_address_is_pinned(loopback, transfer, tmp_path, named, accepted):
    cert, key = certificate(named)
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = await loopback(send(b"ok"), ssl_options=serving)

    async def here(host, port):
        assert not ipaddress_like(host)
        return ["127.0.0.1"]

    host = f"files.test:{server.port}"
    trusting = ssl.create_default_context(cadata=cert.decode())
    http = transfer(host, resolve=here, verify=trusting)
    if accepted:
        assert (await fetch(http, f"https://{host}/f"))[0] == b"ok"
    else:
        refused = await refusal(fetch(http, f"https://{host}/f"))
        assert (refused.code, refused.sent) == ("upstream_unavailable", False) and server.seen == []


def ipaddress_like(host):
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
