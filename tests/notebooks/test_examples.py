"""The notebooks that teach do what they say: each of their cells runs in a real sandbox, through the replay engine."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from notebooks.document import code_cells, read

EXAMPLES = sorted((Path(__file__).parents[2] / "notebooks" / "examples").glob("*.ipynb"))
NAMES = [path.stem for path in EXAMPLES]
ASKED = {
    "first-session": [],
    "image-workflow": ["uploads_init", "jobs_create", "cleanup_create", "cleanup_create"],
    "approvals": ["uploads_init", "cleanup_create"],
    "operators": [],
}


def answering(house, asked, denied=()):
    """Answers as the person at the other terminal does."""
    person = replace(house.me, client="command-line", subject="somebody", scopes=frozenset({"kernel.approve"}))

    async def answer(question):
        name = question["operations"][0].partition(":")[2]
        asked.append(name)
        await house.app.gateway.decide_approval(person, question["waits_for"], approve=name not in denied)

    return answer


def test_there_are_four():
    assert sorted(NAMES) == sorted(ASKED)


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
async def test_an_example_runs(house, path):
    house, asked = await house(kernels={"preload": []}), []
    reports = await house.replay(read(path), live=True, asked=answering(house, asked))
    assert {report.why for report in reports} == {""}
    assert len(reports) == len(code_cells(read(path)))
    assert asked == ASKED[path.stem]


async def test_the_example_of_approvals_goes_on_after_a_no(house):
    house, asked = await house(), []
    path = next(path for path in EXAMPLES if path.stem == "approvals")
    reports = await house.replay(read(path), live=True, asked=answering(house, asked, denied=("cleanup_create",)))
    assert {report.why for report in reports} == {""}
    calls = [call for report in reports for call in report.calls]
    assert ("image_ops:cleanup_create", "approval_denied") in calls
    assert "cleanup_create" not in house.sent


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_an_example_is_valid_has_no_outputs_and_trusts_nobody(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "agent-kernel"
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))
    assert not any("trusted" in cell.metadata for cell in notebook.cells)
    lines = [line for cell in notebook.cells for line in cell.source.splitlines()]
    assert max(map(len, lines)) <= 120
