"""What is read of a notebook file, and what is not."""

import nbformat
import pytest

from kernel_gateway.errors import GatewayError
from notebooks.document import MAX_CELLS, MAX_CODE_CHARACTERS, plan


def document(*sources, **metadata):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def test_only_ids_texts_and_two_tags_are_read():
    made = document(
        "a", "b", "c", "  ", kernel_gateway={"session_id": "ses_1"}, kernelspec={"name": "evil", "display_name": "evil"}
    )
    made.cells[1].metadata = {"tags": ["raises-exception"], "kernel_gateway": {"status": "ok", "origin": "mine"}}
    made.cells[2].metadata = {"tags": ["skip-execution"]}
    read = plan(made)
    assert read.session_id == "ses_1"
    assert [(cell.source, cell.may_fail) for cell in read.cells] == [("a", False), ("b", True)]
    assert set(read.model_dump()) == {"session_id", "cells"}


@pytest.mark.parametrize("claim", ["../x", "x" * 65, 7, None, ["ses_1"], {"a": 1}])
def test_a_session_id_of_another_form_is_none(claim):
    assert plan(document("a", kernel_gateway={"session_id": claim})).session_id == ""
    assert plan(document("a", kernel_gateway=claim)).session_id == ""


def test_so_many_cells_and_no_more():
    assert len(plan(document(*["1"] * MAX_CELLS)).cells) == MAX_CELLS
    with pytest.raises(GatewayError, match="more than can be run again"):
        plan(document(*["1"] * (MAX_CELLS + 1)))


def test_a_cell_so_long_and_no_longer():
    assert len(plan(document("x" * MAX_CODE_CHARACTERS)).cells[0].source) == MAX_CODE_CHARACTERS
    with pytest.raises(GatewayError, match="more than can be run again"):
        plan(document("x" * (MAX_CODE_CHARACTERS + 1)))
