"""Every named attack, in the real sandbox."""

from dataclasses import replace

import pytest

from kernel_gateway.check import PROBE_SECONDS, Finding, attacks, host
from kernel_gateway.sandbox.probes import PROBES


async def test_no_attack_gets_through(start_kernel):
    findings = [finding async for finding in attacks(start_kernel)]
    assert len(findings) == len(PROBES)
    assert [finding.line() for finding in findings if not finding.holds] == []


async def test_an_attack_that_gets_through_is_seen(start_kernel, monkeypatch):
    """The control: where there is nothing to stop it, the same machinery says so."""
    harmless = replace(PROBES[0], code=PROBES[0].code.split("import socket")[0] + "\nattempt(lambda: 'through')\n")
    monkeypatch.setattr("kernel_gateway.check.PROBES", (harmless,))
    (finding,) = [finding async for finding in attacks(start_kernel)]
    assert not finding.holds
    assert "through" in finding.detail


def test_names_of_attacks_are_distinct_sentences():
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    assert all(probe.code.count("attempt(") == 2 for probe in PROBES), "each makes exactly one attempt"


def test_this_host_gives_what_the_launcher_needs():
    assert [finding.line() for finding in host() if not finding.holds] == []


@pytest.mark.parametrize(("holds", "begins"), [(True, "ok "), (False, "FAILED")])
def test_a_finding_is_one_line(holds, begins):
    assert Finding("x", holds, "why").line().startswith(begins)
    assert PROBE_SECONDS > 0
