"""The served documents give the stock rulesets of outside judges nothing to find: no setting or exception of ours."""

import copy
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "catalog" / "specs").glob("*.yaml"))

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)


@pytest.fixture
def run(node_tool, bare_environment, tmp_path):
    """Runs a tool in an empty folder, where no configuration or ignore file of anybody is found."""

    def run(name, *arguments):
        done = subprocess.run(
            [*node_tool(name), *map(str, arguments)],
            cwd=tmp_path, env=bare_environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.stdout.startswith(("[", "{")), done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def spectral(run, tmp_path):
    """All findings of `spectral:oas`, hints included."""
    ruleset = tmp_path / "ruleset.yaml"
    ruleset.write_text('extends: ["spectral:oas"]\n')
    return lambda path: run("spectral", "lint", "--quiet", "--format", "json", "--ruleset", ruleset, path)


@pytest.fixture
def redocly(run, tmp_path):
    """All findings of Redocly's `recommended`, and how many were ignored."""
    config = tmp_path / "redocly.yaml"
    config.write_text("extends: [recommended]\n")

    def lint(path):
        report = run("redocly", "lint", "--config", config, "--format", "json", "--max-problems", "1000", path)
        return report["problems"], report["totals"]["ignored"]

    return lint


@pytest.fixture
def flawed(tmp_path):
    """A copy of a document with one flaw that each linter has a stock rule for, and only as a warning."""
    document = yaml.safe_load(DOCUMENTS[0].read_text())
    del document["info"]["contact"], document["info"]["license"]
    path = tmp_path / "flawed.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_there_are_documents_to_judge():
    assert "image_ops.openapi" in [path.stem for path in DOCUMENTS]


@pytest.mark.node
@every_document
def test_spectral_finds_nothing_not_even_a_hint(spectral, path):
    assert spectral(path) == []


@pytest.mark.node
def test_spectral_finds_a_planted_flaw(spectral, flawed):
    assert "info-contact" in [finding["code"] for finding in spectral(flawed)]


@pytest.mark.node
@every_document
def test_redocly_finds_nothing_and_ignores_nothing(redocly, path):
    assert redocly(path) == ([], 0)


@pytest.mark.node
def test_redocly_finds_a_planted_flaw(redocly, flawed):
    problems, _ = redocly(flawed)
    assert "info-license" in [problem["ruleId"] for problem in problems]


@every_document
def test_a_document_is_valid_openapi(path):
    assert list(OpenAPIV31SpecValidator(yaml.safe_load(path.read_text())).iter_errors()) == []


def test_the_openapi_validator_finds_a_planted_flaw():
    document = copy.deepcopy(yaml.safe_load(DOCUMENTS[0].read_text()))
    del document["info"]["title"]
    assert list(OpenAPIV31SpecValidator(document).iter_errors())


def test_the_repository_has_no_linter_settings_or_exceptions():
    names = (".spectral.*", "redocly.y*ml", ".redocly*")
    places = [ROOT, ROOT / "catalog", ROOT / "catalog" / "specs", ROOT / "tests" / "node"]
    assert [found for place in places for name in names for found in place.glob(name)] == []
