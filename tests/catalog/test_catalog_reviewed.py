"""Only what somebody has read is served; and the command line that goes with it."""

import datetime
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.__main__ import main
from catalog.document import DocumentError
from catalog.openapi import operations
from catalog.reviewed import REVIEWED, SPECS, block, load_served, pins, written

QUOTA = written(SPECS).operations[-1]
NAMES = ["uploads_init", "jobs_create", "jobs_get", "cleanup_create", "quota_get"]


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """A copy of the document, every operation reviewed as it stands."""
    folder = tmp_path / "specs"
    folder.mkdir()
    shutil.copy(SPECS / "image_ops.openapi.yaml", folder)
    blocks = [
        block(each, reviewer="r", date=datetime.date(2026, 1, 2), reason="t") for each in written(folder).operations
    ]
    (folder / "reviewed.toml").write_text("\n".join(blocks))
    return folder


def edit(specs: Path, old: str, new: str) -> None:
    path = specs / "image_ops.openapi.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_every_operation_of_the_shipped_documents_is_reviewed_as_it_stands() -> None:
    catalog, unreviewed = load_served()
    assert unreviewed == [], "read what changed, then renew its block with `python -m catalog review`"
    assert [each.name for each in catalog.operations] == NAMES
    assert set(pins(REVIEWED)) == {each.id for each in catalog.operations}


def test_a_reviewed_folder_is_served(specs: Path) -> None:
    catalog, unreviewed = load_served(specs, specs / "reviewed.toml")
    assert ([each.name for each in catalog.operations], unreviewed) == (NAMES, [])


def test_an_operation_that_changed_after_its_review_is_not_served(specs: Path) -> None:
    edit(specs, "maximum: 20, default: 0", "maximum: 21, default: 0")
    catalog, unreviewed = load_served(specs, specs / "reviewed.toml")
    assert unreviewed == ["image_ops:jobs_get"]
    assert catalog.get("image_ops:jobs_get") is None
    assert len(catalog) == 4


def test_an_operation_that_was_never_reviewed_is_not_served(specs: Path) -> None:
    (specs / "reviewed.toml").write_text("")
    catalog, unreviewed = load_served(specs, specs / "reviewed.toml")
    assert (len(catalog), unreviewed) == (0, [f"image_ops:{name}" for name in NAMES])


def test_a_document_that_does_not_say_its_effects_is_not_served(specs: Path) -> None:
    edit(specs, "      x-effect: delete\n", "")
    with pytest.raises(DocumentError, match=r"image_ops.openapi.yaml.*x-effect"):
        load_served(specs, specs / "reviewed.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "not valid TOML"),
        ('["a:b"]\ndigest = "d"\nreviewer = "r"\ndate = 2026-01-02\n', "exactly the keys"),
        ('["a:b"]\ndigest = "d"\nreviewer = " "\ndate = 2026-01-02\nreason = "t"\n', "needs a digest"),
        ('["a:b"]\ndigest = "d"\nreviewer = "r"\ndate = "2026-01-02"\nreason = "t"\n', "needs a digest"),
        ('["a:b"]\ndigest = "d"\nreviewer = "r"\ndate = 2026-01-02T03:04:05\nreason = "t"\n', "needs a digest"),
        ('x = "y"\n', "exactly the keys"),
    ],
)
def test_a_review_without_its_facts_is_none(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "reviewed.toml"
    path.write_text(text)
    with pytest.raises(DocumentError, match=says):
        pins(path)


def test_a_missing_review_file_serves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="catalog review"):
        load_served(SPECS, tmp_path / "reviewed.toml")


@settings(deadline=None)  # the machine may be busy
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_a_printed_review_reads_back_as_written(text: str) -> None:
    operation = QUOTA
    printed = block(operation, reviewer=text, date=datetime.date(2026, 11, 21), reason=text)
    assert tomllib.loads(printed) == {
        operation.id: {
            "digest": operation.digest,
            "reviewer": text,
            "date": datetime.date(2026, 11, 21),
            "reason": text,
        }
    }


# --- the command line ---------------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_search_prints_one_line_per_hit_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "search", "create an image job", "--limit", "2")
    assert (code, err) == (0, "")
    assert out.split()[1] == "image_ops:jobs_create"
    assert len(out.splitlines()) == 2


def test_search_says_when_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "search", "weather in Paris")
    assert (code, out) == (0, "")
    assert err.count("\n") == 1


def test_lint_says_clean_in_one_line(capsys: pytest.CaptureFixture[str], specs: Path) -> None:
    assert run(capsys, "lint", "--specs", str(specs)) == (0, "no findings: image_ops.openapi.yaml\n", "")
    assert run(capsys, "lint", str(specs / "image_ops.openapi.yaml"))[0] == 0


def test_lint_lists_findings(capsys: pytest.CaptureFixture[str], specs: Path) -> None:
    edit(specs, "      x-effect: delete\n", "")
    code, out, err = run(capsys, "lint", str(specs / "image_ops.openapi.yaml"))
    assert (code, err) == (1, "")
    assert "image_ops.openapi.yaml#/paths/~1api~1cleanup/post/x-effect: must be one of" in out


def test_lint_names_what_is_not_reviewed_and_what_is_no_more(capsys: pytest.CaptureFixture[str], specs: Path) -> None:
    edit(specs, "operationId: quota_get", "operationId: quota_show")
    code, out, _ = run(capsys, "lint", "--specs", str(specs))
    assert code == 1
    assert out.splitlines() == [
        "image_ops:quota_show: not reviewed as it stands [reviewed]",
        "image_ops:quota_get: reviewed, but no document has it [reviewed]",
    ]


def test_show_says_everything_about_one_operation(capsys: pytest.CaptureFixture[str], specs: Path) -> None:
    code, out, _ = run(capsys, "show", "jobs_get", "--specs", str(specs))
    assert code == 0
    assert "image_ops:jobs_get  GET /api/jobs/{id}" in out
    assert "2026-01-02 by r: t" in out
    edit(specs, "maximum: 20, default: 0", "maximum: 21, default: 0")
    assert "not reviewed" in run(capsys, "show", "jobs_get", "--specs", str(specs))[1]


def test_review_prints_a_block_that_serves_the_operation_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], specs: Path
) -> None:
    (specs / "reviewed.toml").write_text("")
    asked = ("--reviewer", 'Q. "Quote"', "--reason", "read it", "--date", "2026-11-21", "--specs", str(specs))
    code, out, _ = run(capsys, "review", "image_ops:quota_get", *asked)
    assert code == 0
    assert (specs / "reviewed.toml").read_text() == ""
    (specs / "reviewed.toml").write_text(out)
    assert [each.name for each in load_served(specs, specs / "reviewed.toml")[0].operations] == ["quota_get"]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((), 2),
        (("dance",), 2),
        (("search",), 2),
        (("search", "x", "--limit", "0"), 2),
        (("review", "jobs_get"), 2),
        (("review", "jobs_get", "--reviewer", "r", "--reason", "t", "--date", "yesterday"), 2),
        (("review", "jobs_get", "--reviewer", " ", "--reason", "t", "--date", "2026-11-21"), 2),
        (("show", "nothing"), 1),
        (("lint", "nothing.openapi.yaml"), 1),
        (("lint", "notes.txt"), 1),
        (("search", "x", "--specs", "/nowhere"), 1),
    ],
)
def test_errors_are_one_line_with_their_exit_code(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], expected: int
) -> None:
    code, out, err = run(capsys, *argv)
    assert (code, out) == (expected, "")
    assert err.endswith("\n") and err.count("\n") == 1


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "search" in out


def test_the_catalog_runs_alone_and_imports_nothing_else_of_ours() -> None:
    program = (
        "import sys; from catalog.__main__ import main; code = main(['search', 'job']);"
        "sys.exit(code or any(name.startswith(('kernel_', 'notebooks')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=SPECS.parent.parent).returncode == 0


def test_two_servers_may_use_one_name(capsys: pytest.CaptureFixture[str], specs: Path) -> None:
    shutil.copy(specs / "image_ops.openapi.yaml", specs / "copies.openapi.yaml")
    catalog, unreviewed = load_served(specs, specs / "reviewed.toml")
    assert len(catalog) == 5
    assert unreviewed == [f"copies:{name}" for name in NAMES]
    assert main(["show", "jobs_get", "--specs", str(specs)]) == 1
    assert "write SERVER:jobs_get" in capsys.readouterr().err


def test_strict_names_need_a_snake_case_file_name(specs: Path) -> None:
    (specs / "image_ops.openapi.yaml").rename(specs / "Image-Ops.openapi.yaml")
    with pytest.raises(DocumentError, match="lower-case words"):
        load_served(specs, specs / "reviewed.toml")
    assert list(operations({"paths": {}}, "Image Ops")) == []
