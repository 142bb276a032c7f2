"""The official MCP conformance suite, with nothing expected to fail.

Against our endpoint in both revisions, and for the tasks extension against a server with the tools that it asks for.
"""

import json
import re
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LISTED = tomllib.loads((HERE / "scenarios.toml").read_text())
REVISIONS = {revision: set(values["scenarios"]) for revision, values in LISTED["revisions"].items()}
FIXTURE = LISTED["fixture"]
EXPECTED_FAILURES = HERE / "expected-failures.yml"

pytestmark = pytest.mark.node


async def judged(conformance, url, folder, scenario, *more):
    """The suite's exit code, what it printed, and its checks."""
    code, output = await conformance(
        "server", "--url", url, "--scenario", scenario, *more, "--expected-failures", EXPECTED_FAILURES, "-o", folder
    )
    (results,) = folder.glob("*/checks.json")  # a scenario that was skipped leaves none
    return code, output, json.loads(results.read_text())


@pytest.mark.parametrize(
    ("revision", "scenario"),
    [(revision, scenario) for revision, scenarios in REVISIONS.items() for scenario in sorted(scenarios)],
)
async def test_a_listed_scenario_holds(conformance, without_token, tmp_path, revision, scenario):
    code, output, checks = await judged(conformance, without_token, tmp_path, scenario, "--spec-version", revision)
    excused = LISTED["not_testable"].get(scenario, {})
    failed = {
        check["id"]: check.get("errorMessage", "") for check in checks if check["status"] in ("FAILURE", "WARNING")
    }
    assert set(failed) == set(excused), output
    assert all(message.startswith("Not testable") for message in failed.values()), output
    assert any(check["status"] == "SUCCESS" for check in checks), output
    assert code == (1 if excused else 0), output


@pytest.mark.parametrize("scenario", FIXTURE["scenarios"])
async def test_a_scenario_of_the_tasks_extension_holds(conformance, fixture_without_token, tmp_path, scenario):
    code, output, checks = await judged(conformance, fixture_without_token, tmp_path, scenario)
    assert {check["status"] for check in checks} == {"SUCCESS"}, output
    assert code == 0, output


@pytest.mark.parametrize("scenario", FIXTURE["skipped_by_the_suite"])
async def test_a_scenario_that_the_suite_skips_still_is_skipped(conformance, fixture_without_token, tmp_path, scenario):
    code, output, checks = await judged(conformance, fixture_without_token, tmp_path, scenario)
    assert {check["status"] for check in checks} == {"SKIPPED"}, output
    assert code == 0, output


async def test_every_server_scenario_of_the_suite_is_listed_or_left_out_for_a_reason(conformance):
    code, output = await conformance("list")
    assert code == 0
    section = output.partition("Server scenarios")[2].partition("Client scenarios")[0]
    suite = {name: versions.split(",") for name, versions in re.findall(r"^  - (\S+) \[(.*)\]$", section, re.M)}
    assert len(suite) > 50
    listed = set().union(*REVISIONS.values())
    of_fixture = {*FIXTURE["scenarios"], *FIXTURE["skipped_by_the_suite"]}
    assert listed | of_fixture | set(LISTED["left_out"]) == set(suite)
    assert not listed & set(LISTED["left_out"])
    assert of_fixture == {name for name in suite if name.startswith("tasks-")}
    for name, versions in suite.items():
        for revision, scenarios in REVISIONS.items():
            assert (name in scenarios) == (name in listed and revision in versions), (name, revision)


def test_no_failure_is_expected():
    lines = EXPECTED_FAILURES.read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["server: []", "client: []"]
