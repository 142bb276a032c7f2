"""What counts as hiding, how grave it is, and how a person is told. One table."""

from dataclasses import dataclass

from catalog.risk import Risk
from kernel_gateway.policy.review.finding import Violation
from kernel_gateway.policy.review.quoting import quote


@dataclass(frozen=True, slots=True)
class Rule:
    """`opens`: any operation may be called by it, so that the plan holds "*". `says` quotes agent text as {0}."""

    risk: Risk
    says: str
    opens: bool = False
    refused: bool = False


LOW, MEDIUM, HIGH, CRITICAL = Risk

RULES: dict[str, Rule] = {
    # The cell is not run.
    "too_large": Rule(CRITICAL, "the cell is longer than what is read; send it in several cells", refused=True),
    "hostile_syntax": Rule(
        CRITICAL, "the cell is nested or written in a way that cannot be read safely; write it simpler", refused=True
    ),
    "denied_module": Rule(CRITICAL, "the module {0} may not be imported here; work without it", refused=True),
    # Nothing of it reaches an operation: IPython refuses the whole cell, or the broker the one call.
    "not_python": Rule(LOW, "this is not Python, so the cell will stop with a syntax error and call nothing"),
    "unknown_operation": Rule(LOW, "{0} is not among the operations that may be used here"),
    # What is called is still known, but it takes a second look to see it.
    "alias": Rule(MEDIUM, "{0} is made another name for something that can call operations"),
    "passed": Rule(MEDIUM, "{0} is handed on, so that other code decides how often it is called"),
    "renamed": Rule(MEDIUM, "{0} is made to mean something else than the operations it stands for"),
    "patched": Rule(MEDIUM, "{0} belongs to a module and is changed, for all code that uses it"),
    "unknown_name": Rule(MEDIUM, "{0} is called, and no cell that was read has defined it"),
    "star_import": Rule(MEDIUM, "everything is imported from {0}, so that names may change their meaning"),
    "dynamic_attribute": Rule(MEDIUM, "a part of an object is looked up under a name made while the cell runs"),
    "odd_separator": Rule(MEDIUM, "the cell holds {0}, which ends a line for some readers and not for others"),
    "stored_code": Rule(MEDIUM, "{0} can run code that is stored in data"),
    # Something is called that only the run will show.
    "dynamic_operation": Rule(HIGH, "which operation is called is decided only while the cell runs", opens=True),
    "client_escapes": Rule(HIGH, "{0} is handed to other code, which can call any of its operations", opens=True),
    "dynamic_import": Rule(HIGH, "a module is imported under a name made while the cell runs", opens=True),
    "namespace": Rule(HIGH, "{0} reaches every name of the session, by names made while the cell runs", opens=True),
    "magic": Rule(HIGH, "the command {0} is not Python and can run anything", opens=True),
    "unreadable": Rule(HIGH, "the cell mixes Python with commands in a way that was not understood", opens=True),
    "shell": Rule(HIGH, "the shell command {0} is not Python and can run anything", opens=True),
    "kernel": Rule(HIGH, "{0} reaches the program that runs the cells", opens=True),
    "dunder": Rule(HIGH, "{0} reaches the inside of Python objects", opens=True),
    "format_trick": Rule(HIGH, "a text template reaches the inside of Python objects"),
    # It hides on purpose, or changes what later cells mean.
    "code_from_text": Rule(CRITICAL, "{0} runs code that is made while the cell runs", opens=True),
    "internals": Rule(CRITICAL, "{0} reaches the inside of the interpreter", opens=True),
    "private": Rule(CRITICAL, "{0} is a private part of the client", opens=True),
    "client_changed": Rule(CRITICAL, "{0} is changed, so that later calls may do something else"),
}


def violation(rule: str, line: int, *texts: str) -> Violation:
    each = RULES[rule]
    return Violation(rule, line, each.says.format(*map(quote, texts)), each.risk, each.refused)
