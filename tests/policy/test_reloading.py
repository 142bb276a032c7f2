"""A set of policies changes while the service runs, as a whole or not at all, and whoever looks can see which holds."""

import logging

import pytest

from kernel_gateway.app import running
from kernel_gateway.audit.events import PolicyRefused, PolicyReloaded
from kernel_gateway.config import load
from kernel_gateway.errors import ConfigError, GatewayError
from kernel_gateway.policy import golden
from kernel_gateway.policy.policies import Compiler, Policies, Source
from kernel_gateway.policy.rules import PolicyError
from kernel_gateway.policy.settings import PolicySettings
from kernel_gateway.reloading import Reloader
from kernel_gateway.sessions.result import ExecuteRequest
from kernel_gateway.settings import Settings
from tests.conftest import until
from tests.policy.questions import question

NO_WRITES = '@id("own") @reason("not on Sundays") forbid (principal, action == Kernel::Action::"write", resource);'
LOCKED = '@id("own") @reason("no") forbid (principal, action, resource);'
COMPILER = Compiler(golden.CATALOG, 20, 100, b"secret")


def settled(reloader):
    """What comes of a change that is there at two looks."""
    assert reloader.look() is None
    return reloader.look()


WRITE = question(resource="golden:make", risk="medium")


class Disk:
    """A configuration file and one file of policies, as `serve` finds them."""

    def __init__(self, folder):
        self.config, self.own = folder / "gateway.toml", folder / "own.cedar"
        self.own.write_text("")
        self.configure()

    def configure(self, more=""):
        self.config.write_text(f'[policy]\nfiles = ["{self.own}"]\nreload_seconds = 0.01\n{more}\n')

    def settings(self):
        return Settings.of(load(self.config, {}, {})).policy


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


@pytest.fixture
def reloader(disk):
    policies = Policies(COMPILER, Source.read(disk.settings()))
    made = Reloader(policies, disk.settings, lambda event: None, lambda: 7.0)
    made.policies = policies
    return made


def test_nothing_happens_where_nothing_changed(reloader, disk):
    before = reloader.policies.current
    assert reloader.look() is None
    disk.own.touch()
    assert reloader.look() is None
    assert reloader.policies.current is before and reloader.notices() == []


def test_a_changed_file_is_in_force_once_it_is_settled(reloader, disk):
    before = reloader.policies.digest
    assert reloader.policies.decide(WRITE).allowed
    disk.own.write_text(NO_WRITES)
    event = settled(reloader)
    decision = reloader.policies.decide(WRITE)
    assert (decision.rule, decision.reason) == ("own", "not on Sundays")
    assert event == PolicyReloaded(at=7.0, policy=reloader.policies.digest, rollout="open", rules=21)
    assert reloader.policies.digest != before
    disk.own.write_text("")
    assert isinstance(settled(reloader), PolicyReloaded)
    assert reloader.policies.decide(WRITE).allowed and reloader.policies.digest == before


@pytest.mark.parametrize("rollout", ["pilot-read", "controlled-write", "canary", "open"])
def test_one_changed_setting_is_in_force_once_it_is_settled(reloader, disk, rollout):
    disk.configure('read_only_mode = true\nrollout = "canary"\ncanary_share = 0')
    assert isinstance(settled(reloader), PolicyReloaded)
    assert reloader.policies.decide(WRITE).rule == "canary"
    disk.configure(f'rollout = "{rollout}"\ncanary_share = 0')
    assert settled(reloader).rollout == rollout
    told = {"pilot-read": "pilot_read", "canary": "canary"}
    assert reloader.policies.decide(WRITE).rule == told.get(rollout, "scope_held")


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda disk: disk.own.write_text("forbid ("), "is not Cedar"),
        (lambda disk: disk.own.write_text(LOCKED), "golden decision"),
        (lambda disk: disk.own.write_text(NO_WRITES.replace("principal,", "principal is Kernel::User,")), "`own`"),
        (lambda disk: disk.own.write_bytes(b"\xff"), "is not UTF-8"),
        (lambda disk: disk.own.unlink(), "cannot read"),
        (lambda disk: disk.configure('rollout = "shut"'), "`policy.rollout`"),
        (lambda disk: disk.configure('blocked_operations = ["golden:lok"]'), "no operation is called `golden:lok`"),
        (lambda disk: disk.config.write_text("[policy"), "is not valid TOML"),
        (lambda disk: disk.config.unlink(), "cannot read"),
    ],
)
def test_what_cannot_be_used_keeps_the_old_set_and_says_why_once(reloader, disk, caplog, break_it, says):
    before = reloader.policies.current
    break_it(disk)
    with caplog.at_level(logging.ERROR, "kernel_gateway.reloading"):
        assert settled(reloader) == PolicyRefused(at=7.0, policy=before.digest)
        assert reloader.look() is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert says in line and "\n" not in line
    assert reloader.policies.current is before and reloader.policies.decide(WRITE).allowed
    assert reloader.notices() == ["the policy on disk is refused; the one before it is in force"]

    disk.configure()
    disk.own.write_text(NO_WRITES)
    assert isinstance(settled(reloader), PolicyReloaded)
    assert reloader.policies.decide(WRITE).rule == "own" and reloader.notices() == []


def test_going_back_to_what_was_in_force_ends_the_refusal(reloader, disk):
    disk.own.write_text("forbid (")
    assert isinstance(settled(reloader), PolicyRefused)
    disk.own.write_text("")
    assert isinstance(settled(reloader), PolicyReloaded)
    assert reloader.notices() == []


def test_a_file_that_is_half_written_at_one_look_is_never_in_force(reloader, disk):
    disk.own.write_text(NO_WRITES)
    settled(reloader)
    in_force = reloader.policies.current
    for half in ("", NO_WRITES[:20], NO_WRITES):
        disk.own.write_text(half)
        assert reloader.look() is None
    assert reloader.look() is None
    assert reloader.policies.current is in_force and reloader.notices() == []


def test_a_service_does_not_start_with_a_set_that_cannot_be_used(disk):
    for text in ("forbid (", LOCKED):
        disk.own.write_text(text)
        with pytest.raises(PolicyError):
            Policies(COMPILER, Source.read(disk.settings()))
    disk.own.unlink()
    with pytest.raises(ConfigError, match=r"see `policy\.files`"):
        Source.read(disk.settings())


def test_a_set_is_exchanged_in_one_step():
    policies = Policies(COMPILER, Source.read(PolicySettings()))
    before, source = policies.current, policies.source
    with pytest.raises(PolicyError):
        policies.use(Source(PolicySettings(), {"own.cedar": LOCKED}))
    assert (policies.current, policies.source) == (before, source)


async def test_a_running_gateway_takes_a_change_into_its_decisions_its_journal_and_its_health(
    gateway_settings, world_and_app, disk
):
    settings = {"files": [str(disk.own)], "reload_seconds": 0.01}
    _, app = await world_and_app(gateway_settings(policy=settings))
    session = (await app.gateway.execute(app.stdio_principal(), ExecuteRequest("1"))).session_id

    async def quota():
        code = "try:\n    print(image_ops.quota_get()['org'])\nexcept ToolError as error:\n    print(error.message)"
        return (await app.gateway.execute(app.stdio_principal(), ExecuteRequest(code, session))).stdout

    assert await quota() == "local\n"
    disk.own.write_text(NO_WRITES.replace('"write"', '"read"'))
    digest = app.gateway._authorizer.digest
    await until(lambda: app.gateway._authorizer.digest != digest)
    assert await quota() == "not on Sundays\n"

    disk.own.write_text("forbid (")
    await until(lambda: app.gateway.ready()[1])
    assert app.gateway.ready() == (True, ["the policy on disk is refused; the one before it is in force"])
    assert await quota() == "not on Sundays\n"


async def test_a_change_of_the_configuration_file_is_in_force_without_a_restart(gateway_settings, hold, disk):
    settings = gateway_settings(policy=disk.settings().model_dump())
    app = await hold(running(settings, policy=disk.settings))
    principal = app.stdio_principal()
    assert (await app.gateway.search(principal, "quota"))["hits"] == []
    disk.configure("enabled = false")

    digest = app.gateway._authorizer.digest
    await until(lambda: app.gateway._authorizer.digest != digest)
    with pytest.raises(GatewayError) as caught:
        await app.gateway.search(principal, "quota")
    assert caught.value.code == "disabled"
    with pytest.raises(GatewayError, match="switched off"):
        await app.gateway.execute(principal, ExecuteRequest("1"))
    assert await app.gateway.sessions(principal) == []
