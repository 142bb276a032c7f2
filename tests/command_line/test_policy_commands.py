"""`kernel-gateway policy`: what is said of a file, and of a question."""

import json

import pytest

from kernel_gateway.__main__ import main

OWN = """@id("own") @reason("not in {resource}")
forbid (principal in Kernel::Role::"ui", action, resource) when { context.risk > 0 };"""
QUESTION = ("--subject", "ada", "--operation")


@pytest.fixture
def policy(tmp_path, capsys, monkeypatch):
    """`policy(*arguments)` -> exit code, stdout, stderr."""
    monkeypatch.setenv("KG_STORE__FOLDER", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(["policy", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.cedar"
    path.write_text(OWN)
    return path


def explained(policy, *arguments):
    code, out, _ = policy("explain", *QUESTION, *arguments, "--json")
    assert code == 0
    return json.loads(out)


def test_a_file_that_holds_is_ok(policy, own):
    code, out, err = policy("check", own)
    assert (code, err) == (0, "")
    assert out.startswith("ok: 21 rules, the baseline and 1 of your files, and all 38 golden decisions hold; policy ")
    assert policy("check")[1].startswith("ok: 20 rules, the baseline and 0 of your files")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("forbid (", "is not Cedar"),
        (OWN.replace("risk", "risc"), "policy `own`: attribute `risc` in context"),
        (OWN.replace('"ui"', '"uy"'), "policy `own`: no role is called `uy`; there is admin, dev, ops, ui"),
        (OWN.split(" when ")[0].replace('principal in Kernel::Role::"ui"', "principal") + ";", "golden decision"),
    ],
)
def test_a_file_that_does_not_is_one_line(policy, own, text, says):
    own.write_text(text)
    code, out, err = policy("check", own)
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("kernel-gateway: ") and says in line


def test_a_question_is_answered_with_the_rule_that_decides_and_why(policy, own, monkeypatch):
    code, out, _ = policy("explain", *QUESTION, "image_ops:quota_get")
    assert code == 0 and out.splitlines()[0].startswith(
        "allowed by `scope_held`: <Principal acme/ada via agent as dev>"
    )
    _, out, _ = policy("explain", *QUESTION, "image_ops:quota_get", "--scope", "image.upload")
    assert "denied by `scope`" in out and "the scope `image.quota.read` is missing" in out
    monkeypatch.setenv("KG_POLICY__FILES", f'["{own}"]')
    _, out, _ = policy("explain", *QUESTION, "image_ops:jobs_create", "--role", "ui")
    assert f"decides: forbid `own` of {own}" in out and "not in image_ops:jobs_create" in out


def test_a_role_that_does_not_show_the_server_is_the_reason(policy):
    answer = explained(policy, "image_ops:quota_get", "--role", "unknown")
    assert (answer["allowed"], answer["rule"], answer["code"]) == (False, "role", "denied")
    assert explained(policy, "search", "--role", "unknown")["allowed"]


def test_an_answer_for_programs_names_who_has_to_approve(policy):
    answer = explained(policy, "image_ops:cleanup_create")
    assert (answer["allowed"], answer["rule"], answer["code"], answer["approver"]) == (
        *(False, "needs_user", "approval_required", "user"),
    )
    assert answer["deciding"] == [{"id": "needs_user", "effect": "forbid", "source": "baseline.cedar"}]
    assert explained(policy, "image_ops:cleanup_create", "--approved")["allowed"]
    assert explained(policy, "execute", "--risk", "critical")["approver"] == "person"


def test_a_caller_is_in_the_canary_as_in_the_service(policy, monkeypatch):
    monkeypatch.setenv("KG_POLICY__ROLLOUT", "canary")
    monkeypatch.setenv("KG_POLICY__CANARY_SHARE", "0")
    assert explained(policy, "search")["rule"] == "canary"
    monkeypatch.setenv("KG_POLICY__CANARY_SHARE", "1")
    assert explained(policy, "search")["allowed"]


def test_a_slip_in_the_operation_is_told(policy):
    code, out, err = policy("explain", *QUESTION, "image_ops:quota")
    assert (code, out) == (1, "") and "did you mean `image_ops:quota_get`" in err


def test_without_a_service_nothing_is_written_and_it_is_said(policy, tmp_path):
    _, out, _ = policy("explain", *QUESTION, "search")
    assert out.splitlines()[-1] == "  no gateway runs on the state folder: this is the policy as it is on disk"
    assert not (tmp_path / "state").exists()
    code, _, err = policy("show")
    assert code == 1 and "no gateway runs" in err


def test_usage_is_exit_code_two(policy):
    assert policy()[0] == 2 and policy("explain")[0] == 2
    assert policy("explain", *QUESTION, "search", "--risk", "none")[0] == 2
