"""Where settings come from, and what is said of one that cannot be used."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.config import load
from kernel_gateway.errors import ConfigError
from kernel_gateway.settings import Settings


@pytest.fixture
def file(tmp_path):
    """`file(toml)` -> the path of a configuration file."""

    def write(toml):
        path = tmp_path / "gateway.toml"
        path.write_text(toml)
        return path

    return write


def complaint(path=None, flags=None, **environ):
    with pytest.raises(ConfigError) as caught:
        Settings.of(load(path, environ, flags or {}))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_yield_to_the_file_the_file_to_a_variable_a_variable_to_a_flag(file):
    path = file("[server]\nhost = 'a'\nport = 1\nport_search = 2\n")
    values = load(path, {"KG_SERVER__PORT": "3", "KG_SERVER__HOST": "b"}, {"server.host": "c", "server.port": None})
    server = Settings.of(values).server
    assert (server.host, server.port, server.port_search, server.max_mcp_sessions) == ("c", 3, 2, 1000)


def test_a_reference_that_a_variable_overrides_need_not_be_set(file):
    path = file('[auth]\naudience = "${NOT_SET}"\n')
    assert load(path, {"KG_AUTH__AUDIENCE": "${SET}", "SET": "urn:x"}, {}) == {"auth": {"audience": "urn:x"}}


@pytest.mark.parametrize("name", ["KG_BOGUS", "KG_", "KG_SERVER", "KG_SERVER__", "KG___PORT", "KG_A____B"])
def test_a_variable_that_names_no_setting_is_an_error(name):
    assert complaint(**{name: "1"}) == f"`{name}` names no setting; write KG_SECTION__KEY"


@given(st.from_regex(r"KG_[A-Z_]*", fullmatch=True))
def test_no_variable_with_our_prefix_is_passed_over(name):
    values = {}
    try:
        values = load(None, {name: "1"}, {})
    except ConfigError as error:
        assert name in str(error)
    else:
        assert values != {}


def test_other_variables_are_not_ours():
    assert load(None, {"KGX__A": "1", "PATH": "/bin", "kg_server__port": "1"}, {}) == {}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("KG_BOGUS__KEY", "1", "`bogus` (from KG_BOGUS__KEY) is no setting"),
        ("KG_SERVER__PROT", "1", "`server.prot` (from KG_SERVER__PROT) is no setting"),
        ("KG_SERVER__PORT", "x", "`server.port` (from KG_SERVER__PORT): input should be a valid integer"),
        (
            "KG_SERVER__ALLOWED_HOSTS",
            "a",
            '`server.allowed_hosts` (from KG_SERVER__ALLOWED_HOSTS): write a list: `["a"',
        ),
        ("KG_AUTH__ISSUERS", "[{issuer = 'i'}]", "`auth.issuers.0.jwks_url` (from KG_AUTH__ISSUERS): field required"),
        ("KG_AUTH__CLAIMS", "x", "`auth.claims` (from KG_AUTH__CLAIMS): write a table, `[auth.claims]`"),
        ("KG_SERVER__TLS_KEY", "k", "`server` (from KG_SERVER__TLS_KEY): tls_certificate and tls_key belong together"),
        ("KG_SERVER__TLS_KEY__X", "k", "`server.tls_key` (from KG_SERVER__TLS_KEY__X): "),
    ],
)
def test_a_wrong_setting_names_the_variable_it_came_from(name, value, says):
    assert says in complaint(**{name: value})


def test_a_wrong_setting_names_the_file_or_the_flag_it_came_from(file):
    path = file("[server]\nport = 'x'\n[limits]\nbogus = 1\n")
    assert complaint(path).startswith(f"`server.port` (from `{path}`): ")
    assert complaint(path, KG_SERVER__PORT="1") == (
        f"`limits.bogus` (from `{path}`) is no setting; CONFIGURATION.md lists them all"
    )
    assert complaint(path, {"server.port": -1}).startswith("`server.port` (from --port): ")


def test_a_table_where_a_list_of_tables_belongs_shows_how_to_write_one(file):
    path = file('[auth.issuers]\nissuer = "i"\n')
    assert (
        complaint(path)
        == f'`auth.issuers` (from `{path}`): write a list: `["a", "b"]`, or for tables `[[auth.issuers]]`'
    )


def test_a_variable_that_leads_through_a_value_names_itself(file):
    path = file("[server]\nhost = 'a'\n")
    assert complaint(path, KG_SERVER__HOST__NAME="b") == (
        "KG_SERVER__HOST__NAME goes into `server.host`, which is not a section"
    )


def test_a_value_is_never_repeated_where_it_may_be_secret():
    said = complaint(KG_UPSTREAMS__IMAGE_OPS__BEARER="[7461]", KG_UPSTREAMS__IMAGE_OPS__BASE_URL="https://a.test")
    assert "7461" not in said
    assert "KG_UPSTREAMS__IMAGE_OPS__BEARER" in said


def test_a_file_that_is_not_there_is_asked_for(tmp_path):
    for path in (tmp_path / "absent.toml", tmp_path):
        assert complaint(path).endswith("; name an existing file with --config")


def test_a_file_that_may_not_be_read_points_to_its_permissions(file):
    path = file("[server]\n")
    path.chmod(0)
    effective = os.geteuid()
    if effective == 0:
        os.seteuid(65534)  # permissions mean nothing to root
    try:
        said = complaint(path)
    finally:
        os.seteuid(effective)
    assert said == f"cannot read `{path}`: Permission denied; check its permissions"


def test_records_are_kept_for_a_day_longer_than_sessions_or_it_is_refused(file):
    path = file("[audit]\nretention_days = 3\n[sessions]\nttl_seconds = 172_800\n")
    assert Settings.of(load(path, {}, {})).sessions.ttl_seconds == 172_800
    assert complaint(path, KG_SESSIONS__TTL_SECONDS="172800.5") == (
        "the configuration: `sessions.ttl_seconds` may be 172800 at most, a day less than `audit.retention_days`: "
        "shorten it, or keep records for longer"
    )
    assert "`audit.retention_days`" in complaint(path, KG_AUDIT__RETENTION_DAYS="2.9")
