"""roles.toml: what it may say, and that a slip in it is told before anybody is served."""

import pytest

from kernel_gateway.auth.settings import AuthSettings
from kernel_gateway.errors import ConfigError
from kernel_gateway.policy.roles import configured, packaged

SERVED = {"image_ops", "platform"}
OF_ITS_OWN = """
[servers]
dev = ["image_ops"]
ops = ["*"]
[delegate]
delegate_deploy = ["platform.deploy", "platform.look"]
"""


@pytest.fixture
def auth(tmp_path):
    def settings(text=OF_ITS_OWN, **values):
        path = tmp_path / "roles.toml"
        path.write_text(text)
        return AuthSettings(roles=path, **values)

    return settings


def test_the_packaged_roles_are_dev_ops_admin_and_ui():
    roles = packaged()
    assert sorted(roles.servers) == ["admin", "dev", "ops", "ui"]
    assert all(roles.shows(role, "image_ops") for role in roles.servers)
    assert [role for role in roles.servers if roles.shows(role, "platform")] == ["dev", "ops", "admin"]
    assert configured(AuthSettings(), SERVED) == roles
    assert AuthSettings().default_role == "dev"


def test_a_role_sees_the_servers_it_names_and_an_unknown_role_none(auth):
    roles = configured(auth(), SERVED)
    seen = {
        role: [server for server in sorted(SERVED) if roles.shows(role, server)] for role in ("dev", "ops", "x", "")
    }
    assert seen == {"dev": ["image_ops"], "ops": ["image_ops", "platform"], "x": [], "": []}
    assert roles.flags == {"delegate_deploy": {"platform.deploy", "platform.look"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "`servers`"),
        ("[servers", "TOML"),
        ("[servers]\ndev = 'image_ops'", "`servers.dev`"),
        ("[servers]\ndev = ['image_op']", "`image_op`"),
        ("[servers]\ndev = []\n[delegates]", "`delegates`"),
        ("[servers]\ndev = []\n[delegate]\ndelegate_all = []", "delegate_all"),
        ("[servers]\ndev = []\n[delegate]\ndelegate_yes = ['kernel.approve']", "none of the service itself"),
        ("[servers]\ndev = []\n[delegate]\n'Delegate All' = ['a.b']", "Delegate All"),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_names_it(auth, text, told):
    with pytest.raises(ConfigError) as caught:
        configured(auth(text), SERVED)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert "roles.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_is_told_with_its_setting(tmp_path):
    with pytest.raises(ConfigError, match=r"auth\.roles"):
        configured(AuthSettings(roles=tmp_path / "absent.toml"), SERVED)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"default_role": "qa"}, "auth.default_role"),
        ({"stdio": {"role": "qa"}}, "auth.stdio.role"),
        (
            {"issuers": [{"issuer": "i", "jwks_url": "https://i.test", "client_roles": {"bot": "qa"}}]},
            "auth.issuers.0.client_roles.bot",
        ),
    ],
)
def test_a_role_that_the_configuration_gives_and_nobody_named_is_told(auth, values, key):
    with pytest.raises(ConfigError, match="`qa`") as caught:
        configured(auth(**values), SERVED)
    assert key in str(caught.value)
