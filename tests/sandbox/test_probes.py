"""Every named attack, in the real sandbox, judged from outside."""

import ast
import os
import signal
import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from kernel_gateway.attacks import Ground, Seen, complaint
from kernel_gateway.attacks.bait import Bait
from kernel_gateway.check import Finding, attacks, host, self_check
from kernel_gateway.sandbox.probes import DENIED, ENDS, LAYERS, PROBES, QUICK, Probe, cell
from kernel_gateway.sandbox.probes.cell import SYSTEM_CALLS

FAMILIES = (
    "network",
    "files",
    "processes and signals",
    "kernel surface",
    "secrets",
    "Python and Jupyter",
    "resources",
)
BAIT = ("port", "datagram_port", "abstract", "abstract_datagrams", "socket_path", "file", "folder", "victim", "address",
        "segment", "marker")  # fmt: skip
HARMLESS = Probe("do nothing", "def attack():\n    return None", ("seccomp",), ("nothing",))
REFUSED = Seen("ok", "no\nrefused EPERM\n", False)


@pytest.fixture
async def ground(start_kernel):
    async with Ground(start_kernel) as made:
        yield made


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.timeout(240)
async def test_no_attack_gets_through(start_kernel, launcher, family):
    probes = [probe for probe in PROBES if probe.family == family and launcher.name not in probe.not_on]
    findings = [finding async for finding in attacks(start_kernel, launcher.name, probes)]
    assert len(findings) == len(probes)
    assert [finding.line() for finding in findings if not finding.holds] == []


async def test_the_check_before_a_service_begins_tries_something_in_most_families(start_kernel, launcher):
    assert await self_check(start_kernel, launcher.name) is None
    assert len({probe.family for probe in QUICK}) >= 6


async def test_an_attack_that_gets_through_is_seen(start_kernel, launcher):
    open_door = replace(HARMLESS, body="def attack():\n    return 'through'")
    (finding,) = [finding async for finding in attacks(start_kernel, launcher.name, [open_door])]
    assert (finding.holds, finding.detail) == (False, "got through: through")


async def test_an_attack_that_fails_by_a_fault_of_its_own_counts_as_through(ground):
    for body in ("def attack():\n    return undefined", "1 +"):
        assert complaint(HARMLESS, await ground.attack(replace(HARMLESS, body=body)))


async def test_what_an_attack_does_to_the_host_is_seen_whatever_its_cell_says(ground):
    calls_late = "import threading\nthreading.Timer(0.3, lambda: call_tool('lab:ping')).start()\nprint('alive')"
    quiet = replace(HARMLESS, body="print('alive')", ends=("survived",), lingers=True)
    late = await ground.attack(replace(quiet, body=calls_late))
    assert complaint(quiet, late) == ""
    assert "nothing was shown" in complaint(quiet, await ground.attack(quiet))


def test_bait_that_is_touched_says_so_and_is_laid_out_anew():
    bait = Bait()
    try:
        assert bait.sprung() == []
        with socket.create_connection(("127.0.0.1", bait.values["port"])):
            pass
        Path(bait.values["folder"], "written").touch()
        os.chmod(bait.values["file"], 0o777)
        os.kill(bait.values["victim"], signal.SIGKILL)
        bait._victim.wait()
        sprung = bait.sprung()
        assert [word in " ".join(sprung) for word in ("a port", "written to", "was changed", "was killed")] == [
            True
        ] * 4
        assert bait.sprung() == []
    finally:
        bait.close()
    assert not Path(bait.values["folder"]).exists()


def test_there_are_at_least_a_hundred_attacks_and_eight_in_each_family():
    sizes = Counter(probe.family for probe in PROBES)
    assert set(sizes) == set(FAMILIES)
    assert len(PROBES) >= 100
    assert min(sizes.values()) >= 8


def test_attacks_have_distinct_names_and_known_layers_and_ends():
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    for probe in PROBES:
        assert probe.stopped_by and set(probe.stopped_by) <= LAYERS, probe.name
        assert probe.ends and set(probe.ends) <= ENDS, probe.name
        assert ("def attack()" in probe.body) == ("refused" in probe.ends), probe.name
        assert set(probe.not_on) <= {"bwrap", "oci", "filtered", "none"}, "the default launcher stops every attack"


class Shape(ast.NodeTransformer):
    """Without literals, and without which of the host's bait is meant."""

    def visit_Constant(self, node):
        return ast.Constant("")

    def visit_Subscript(self, node):
        named = isinstance(node.value, ast.Name) and node.value.id == "HOST"
        return ast.Constant("") if named else self.generic_visit(node)


def shape(code):
    return ast.dump(Shape().visit(ast.parse(code)))


def test_no_two_attacks_differ_only_in_a_literal():
    shapes = Counter(shape(probe.body) for probe in PROBES)
    assert [probe.name for probe in PROBES if shapes[shape(probe.body)] > 1] == []
    assert shape("open('a').read(1)") == shape("open(HOST['file']).read(2)") != shape("open('a').write(1)")


def test_every_attack_has_a_control_run_or_a_reason_why_there_is_none():
    without = [probe for probe in PROBES if probe.why_no_control]
    assert all(len(probe.why_no_control) > 30 and not probe.control for probe in without)
    assert len(without) <= len(PROBES) // 5, "the exceptions are few"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_every_cell_is_python_and_knows_the_numbers_of_what_it_calls(probe, machine):
    told = dict.fromkeys((*BAIT, "foreign_blob", "own_blob", "sibling_file"), "x")
    for body in filter(None, (probe.body, probe.control)):
        code = cell(body, told, machine)
        compile(code, probe.name, "exec")
        assert len(code.encode()) < 16 * 1024
    assert all(len(numbers) == 2 for numbers in SYSTEM_CALLS.values())


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (REFUSED, ""),
        (replace(REFUSED, stdout="got through: x\nrefused EPERM"), "refused EPERM"),
        (replace(REFUSED, stdout="refused ESRCH"), "refused, but by ESRCH"),
        (replace(REFUSED, status="lost", error="it died"), "refused EPERM"),
        (replace(REFUSED, status="error", stdout="", error="NameError: x"), "NameError: x"),
        (replace(REFUSED, sprung=("a port of the host was spoken to",)), "a port of the host"),
        (replace(REFUSED, growth_bytes=192 << 20), ""),
        (replace(REFUSED, growth_bytes=193 << 20), "grew by 193 MiB"),
        (replace(REFUSED, stall_seconds=0.75), ""),
        (replace(REFUSED, stall_seconds=0.8), "heard nobody else for 0.8 s"),
        (replace(REFUSED, goes_on=False), "did not go on"),
    ],
)
def test_the_verdict_needs_the_right_end_a_quiet_host_and_a_gateway_that_is_well(seen, says):
    probe = replace(HARMLESS, expects=DENIED)
    assert complaint(probe, seen).startswith(says) if not says else says in complaint(probe, seen)
    assert bool(complaint(probe, seen)) == bool(says)


@pytest.mark.parametrize(
    ("status", "stdout", "truncated", "end"),
    [
        ("ok", "alive\n", False, "survived"),
        ("ok", "alive\n", True, "cut"),
        ("ok", "", True, "cut"),
        ("ok", "", False, ""),
        ("ok", "got through: forged\nalive\n", True, ""),
        ("lost", "", False, "lost"),
        ("timeout", "alive\n", False, "stopped"),
    ],
)
def test_how_a_cell_ended(status, stdout, truncated, end):
    assert Seen(status, stdout, truncated).end == end


def test_this_host_gives_what_the_launcher_needs():
    assert [finding.line() for finding in host() if not finding.holds and not finding.optional] == []


@pytest.mark.parametrize(
    ("holds", "optional", "begins"), [(True, False, "ok "), (False, False, "FAILED"), (False, True, "absent")]
)
def test_a_finding_is_one_line(holds, optional, begins):
    assert Finding("x", holds, "why", optional).line().startswith(begins)
