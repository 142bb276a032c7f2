"""What is said of a policy file that cannot be used: which file, which policy, what to write instead."""

import re
from pathlib import Path

import pytest

from kernel_gateway.policy import golden
from kernel_gateway.policy.policies import Compiler, Source
from kernel_gateway.policy.rule_set import RuleSet
from kernel_gateway.policy.rules import PolicyError, baseline, parse
from kernel_gateway.policy.settings import PolicySettings
from tests.policy.questions import authorizer, question

ANY = "(principal, action, resource)"


def complaint(text):
    with pytest.raises(PolicyError) as caught:
        RuleSet((*baseline(), *parse(text, "own.cedar")))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("forbid (", "`own.cedar` is not Cedar: "),
        (f"permit {ANY};", '`own.cedar`: every policy needs an @id("name")'),
        (f'@id("a b") permit {ANY};', '`own.cedar`: every policy needs an @id("name")'),
        (f'@id("own") forbid {ANY};', '`own.cedar`: policy `own`: a forbid needs a @reason("...")'),
        (f'@id("own") @reason("a\\nb") forbid {ANY};', "policy `own`: a forbid needs a @reason"),
        (f'@id("own") @reason("no {{who}}") forbid {ANY};', "policy `own`: @reason knows no {who}; there is action, "),
        (f'@id("own") @reason("no") @code("gone") forbid {ANY};', "policy `own`: @code is one of denied, "),
        (f'@id("own") @reason("no") @code("approval_required") forbid {ANY};', '@approver("user") or '),
        (f'@id("own") @reason("no") @approver("user") forbid {ANY};', '@approver("user") or '),
        (f'@id("own") @reason("yes") permit {ANY};', "policy `own`: a permit takes no @reason"),
        ('@id("own") permit (principal == ?principal, action, resource);', "`own.cedar` holds a template"),
        (f'@id("scope") permit {ANY};', "`own.cedar`: there is another policy with @id `scope`; rename this one"),
        (
            f'@id("own") permit {ANY} when {{ context.risky }};',
            "`own.cedar`: policy `own`: attribute `risky` in context",
        ),
        (f'@id("own") permit {ANY} when {{ context.risk == "high" }};', "`own.cedar`: policy `own`: "),
        (
            f'@id("own") permit {ANY} when {{ resource.scope == "a" }};',
            "policy `own`: attribute `scope` on entity type",
        ),
        ('@id("own") permit (principal, action == Kernel::Action::"reed", resource);', "`own.cedar`: policy `own`: "),
        ('@id("own") permit (principal is Kernel::User, action, resource);', "`own.cedar`: policy `own`: "),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_why(text, says):
    assert says in complaint(text)


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ('principal, action == Action::"delete", resource', 'write `Kernel::Action::"delete"`'),
        ('principal in Role::"ui", action, resource', "write `Kernel::Role`"),
    ],
)
def test_a_name_without_its_namespace_is_told_with_it(scope, says):
    assert says in complaint(f'@id("own") @reason("no") forbid ({scope});')


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (
            '(principal, action, resource == Kernel::Operation::"golden:loook")',
            "`own.cedar`: policy `own`: no operation is called `golden:loook`; did you mean `golden:look`",
        ),
        ('(principal, action, resource in Kernel::Server::"silver")', "no server is called `silver`; there is golden"),
        ('(principal in Kernel::Role::"opps", action, resource)', "no role is called `opps`; there is dev, ops"),
        (f'{ANY} when {{ resource in [Kernel::Server::"silver"] }}', "no server is called `silver`"),
    ],
)
def test_a_rule_about_something_that_is_not_there_would_never_apply_and_is_refused(rule, says):
    source = Source(PolicySettings(), {"own.cedar": f'@id("own") @reason("no") forbid {rule};'})
    with pytest.raises(PolicyError) as caught:
        Compiler(golden.CATALOG, 20, 100, b"", frozenset({"dev", "ops"})).compile(source)
    assert says in str(caught.value)
    right = {"golden:loook": "golden:look", "silver": "golden", "opps": "ops"}
    for wrong, name in right.items():
        rule = rule.replace(f'"{wrong}"', f'"{name}"')
    text = f'@id("own") @reason("no") forbid {rule} unless {{ context.risk < 9 }};'
    Compiler(golden.CATALOG, 20, 100, b"", frozenset({"dev", "ops"})).compile(Source(PolicySettings(), {"own": text}))


def test_comments_and_an_empty_file_are_no_policies():
    assert parse("// nothing\n", "own.cedar") == ()


def test_the_line_for_the_caller_is_filled_in():
    text = '@id("own") @reason("`{resource}` not by `{action}` with {scope}, {max_calls_per_cell}") forbid ' + ANY
    decision = authorizer(text + " when { context.argument_bytes > 5 };").decide(question(argument_bytes=6))
    assert decision.reason == "`golden:look` not by `call` with golden.look, 20"


def test_a_name_in_the_settings_that_no_operation_has_is_refused():
    for key in ("allowed_operations", "blocked_operations"):
        with pytest.raises(PolicyError) as caught:
            authorizer(**{key: ("golden:lok",)})
        assert str(caught.value).startswith(
            f"`policy.{key}`: no operation is called `golden:lok`; did you mean `golden:"
        )


def test_the_examples_of_the_documents_are_rules_that_work():
    document = (Path(__file__).parents[2] / "CONFIGURATION.md").read_text(encoding="utf-8")
    example, asking = re.findall(r"^```cedar\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    console = authorizer(example)
    golden.check(console.rules, golden.table())
    role = {"role": "ui"}
    assert console.decide(question(resource="golden:make", principal=role)).rule == "ui_reads_only"
    assert console.decide(question(principal=role)).allowed and console.decide(question(resource="golden:make")).allowed
    careful = authorizer(asking)
    golden.check(careful.rules, golden.table())
    asked = careful.decide(question(resource="golden:wipe"))
    assert (asked.rule, asked.approver) == ("deletes_by_two", "person")
    assert careful.decide(question(resource="golden:make")).allowed
