"""Where the service listens: TLS 1.3, loopback, busy ports, settings."""

import asyncio
import datetime
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from kernel_gateway.errors import ConfigError
from kernel_gateway.frontends.listener import bind, tls_context
from kernel_gateway.frontends.settings import ServerSettings


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


def client_context(certificate, maximum=None):
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    if maximum is not None:
        context.maximum_version = maximum
    return context


async def test_with_a_certificate_it_speaks_tls_1_3_and_names_itself_so(serve, certificate):
    service = await serve(
        tls=client_context(certificate), tls_certificate=certificate / "cert.pem", tls_key=certificate / "key.pem"
    )
    answer = await service.http.get("/.well-known/oauth-protected-resource/mcp")
    assert answer.json()["resource"] == f"https://127.0.0.1:{service.port}/mcp"


async def test_tls_1_2_is_refused(serve, certificate):
    import httpx2

    service = await serve(
        tls=client_context(certificate, ssl.TLSVersion.TLSv1_2),
        tls_certificate=certificate / "cert.pem",
        tls_key=certificate / "key.pem",
    )
    with pytest.raises(httpx2.ConnectError):
        await service.http.get("/healthz")


async def test_one_connection_too_many_hears_why_under_tls_too(serve, certificate):
    context = client_context(certificate)
    service = await serve(
        tls=context, max_connections=1, tls_certificate=certificate / "cert.pem", tls_key=certificate / "key.pem"
    )
    assert (await service.http.get("/healthz")).status_code == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, ssl=context)
    assert (await reader.readline()).split()[1] == b"503"
    writer.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "10.1.2.3", "kernels.example"])
def test_plain_http_beyond_loopback_is_refused_in_one_line(host):
    with pytest.raises(ConfigError) as caught:
        tls_context(ServerSettings(host=host))
    assert "\n" not in str(caught.value)
    assert "tls_certificate" in str(caught.value)
    assert tls_context(ServerSettings(host=host, behind_tls_proxy=True)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_plain_http_on_loopback_is_served(host):
    assert tls_context(ServerSettings(host=host)) is None


def test_a_certificate_needs_its_key_and_both_must_be_readable(certificate, tmp_path):
    with pytest.raises(ValidationError, match="belong together"):
        ServerSettings(tls_certificate=certificate / "cert.pem")
    with pytest.raises(ConfigError, match="cannot be used"):
        tls_context(ServerSettings(tls_certificate=tmp_path / "no.pem", tls_key=tmp_path / "no.pem"))
    with pytest.raises(ConfigError, match="cannot be used"):
        tls_context(ServerSettings(tls_certificate=certificate / "key.pem", tls_key=certificate / "key.pem"))


def test_a_busy_port_is_passed_over_and_said():
    first = bind("127.0.0.1", 0)
    try:
        second = bind("127.0.0.1", first.port, search=20)
        second.close()
        assert first.note == ""
        assert second.port > first.port
        assert second.note == f"port {first.port} is busy; listening on {second.port} instead"
    finally:
        first.close()


def test_a_name_is_served_on_all_its_addresses_and_one_port():
    bound = bind("localhost", 0)
    assert {each.getsockname()[1] for each in bound.sockets} == {bound.port}
    bound.close()


def test_a_name_that_is_busy_on_one_address_gives_the_others_back():
    taken = bind("127.0.0.1", 0)
    with pytest.raises(ConfigError, match="is busy"):
        bind("localhost", taken.port)
    taken.close()
    bind("localhost", taken.port).close()


def test_a_name_without_an_address_is_one_line():
    with pytest.raises(ConfigError, match="cannot listen on"):
        bind("no-such-name.invalid", 8888)


def test_a_busy_port_without_a_search_is_one_line():
    taken = bind("127.0.0.1", 0)
    with pytest.raises(ConfigError, match=f"port `{taken.port}` on `127.0.0.1` is busy; name another with --port"):
        bind("127.0.0.1", taken.port)
    taken.close()


def test_an_address_that_is_not_ours_is_one_line():
    with pytest.raises(ConfigError, match=r"cannot listen on `192\.0\.2\.1` port `8888`"):
        bind("192.0.2.1", 8888)


@pytest.mark.parametrize("host", ["*", "http://x", "a b", "", "x:99999999", "x/y", "X.example"])
def test_a_host_pattern_must_be_one(host):
    with pytest.raises(ValidationError):
        ServerSettings(allowed_hosts=(host,))
    with pytest.raises(ValidationError):
        ServerSettings(allowed_origins=(f"https://{host}",))


def test_an_unknown_key_is_an_error():
    with pytest.raises(ValidationError):
        ServerSettings.model_validate({"alowed_hosts": []})
