"""The documents say what is: every promise names what holds it, every key and number is the one in force."""

import ast
import asyncio
import dataclasses
import functools
import hashlib
import importlib
import json
import os
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from kernel_gateway import __main__
from kernel_gateway.config import Section, load
from kernel_gateway.demo import client_configuration
from kernel_gateway.frontends.listener import bind
from kernel_gateway.sessions.result import ExecuteRequest
from kernel_gateway.settings import Settings

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
DOCUMENTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("*.md"))}
SPECIFICATION, CONFIGURATION, README = (
    DOCUMENTS[f"{name}.md"] for name in ("SPECIFICATION", "CONFIGURATION", "README")
)

PROMISE = re.compile(r"^- \*\*(\d+)\.(\d+)\*\* (.*?)(?=^- \*\*|^#|\Z)", re.MULTILINE | re.DOTALL)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
FIGURE = re.compile(r"`bench: ([^`]+)`")
PROMISES = [(f"{section}.{number}", text) for section, number, text in PROMISE.findall(SPECIFICATION)]
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"  # of the text as its authors publish it


def rows(text, columns):
    """The cells of every table row with so many columns, headings included."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == columns and set(line) - set("|- "):
            yield cells


def blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENTS[document], re.MULTILINE | re.DOTALL)


@functools.cache
def functions(path):
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@functools.cache
def measured():
    figures = [ast.parse(path.read_text(encoding="utf-8")) for path in (TESTS / "bench" / "figures").glob("*.py")]
    return {node.value for tree in figures for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def missing(text):
    """What `text` names and is not there."""
    absent = [name for name in FIGURE.findall(text) if name not in measured()]
    for path, name in TEST.findall(text):
        if not (TESTS / path).is_file() or name not in functions(path):
            absent.append(f"{path}::{name}")
    return absent


def settings(model=Settings, prefix=""):
    """Every key with its default. `[]` stands for each entry of a list of tables, NAME for the name of a table."""
    for name, field in model.model_fields.items():
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if isinstance(each, type)]
        inner = [each for each in inner if issubclass(each, Section)]
        if inner:
            step = "" if inner[0] is field.annotation else ".NAME" if dict in mro(field.annotation) else "[]"
            yield from settings(inner[0], f"{prefix}{name}{step}.")
        else:
            yield f"{prefix}{name}", written(field.get_default(call_default_factory=True))


def mro(annotation):
    return getattr(annotation, "__origin__", object).__mro__


def written(default):
    """A default as the documents write it."""
    if default is PydanticUndefined:
        return "*required*"
    if default is None:
        return "*unset*"
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, Path):
        return str(default.relative_to(ROOT) if default.is_relative_to(ROOT) else default)
    return list(default) if isinstance(default, tuple) else default


def read(cell):
    """A number or text of a table, which is TOML in backticks; `*unset*` and `*required*` stand for themselves."""
    return cell if cell.startswith("*") else tomllib.loads(f"value = {cell.strip('`')}")["value"]


def constant(place):
    """`module:NAME`, or `module:Class.field` for the default of a dataclass's field."""
    module, _, name = place.partition(":")
    owner, _, field = name.partition(".")
    value = getattr(importlib.import_module(module), owner)
    return next(each.default for each in dataclasses.fields(value) if each.name == field) if field else value


def test_promises_are_numbered_without_a_gap():
    sections = [int(number) for number in re.findall(r"^## (\d+) ", SPECIFICATION, re.MULTILINE)]
    assert sections == list(range(1, len(sections) + 1))
    assert len(PROMISES) > 50
    for section in sections:
        numbers = [int(number.split(".")[1]) for number, _ in PROMISES if number.startswith(f"{section}.")]
        assert numbers == list(range(1, len(numbers) + 1)), section


@pytest.mark.parametrize(("number", "text"), PROMISES, ids=[number for number, _ in PROMISES])
def test_a_promise_names_what_holds_it_and_that_is_there(number, text):
    assert TEST.findall(text) or FIGURE.findall(text), f"{number} names no test and no figure"
    assert missing(text) == []


def test_a_promise_that_names_what_is_not_there_is_seen():
    assert missing("`test_documents.py::test_of_nothing`") == ["test_documents.py::test_of_nothing"]
    assert missing("`bench: the speed of light`") == ["the speed of light"]


def test_every_limit_is_the_one_in_force_and_names_its_test():
    defaults, wrong = dict(settings()), []
    limits = [row for row in rows(SPECIFICATION, 4) if row[0] != "limit"]
    assert len(limits) > 40
    for name, number, place, holds in limits:
        place = place.strip("`")
        value = constant(place) if ":" in place else defaults.get(place)
        if read(number) != value or not TEST.findall(holds) or missing(holds):
            wrong.append(f"{name}: {number}, in force {value}; absent {missing(holds)}")
    assert wrong == []


def test_every_setting_is_documented_with_its_default():
    documented = {key.strip("`"): read(default) for key, default, _ in rows(CONFIGURATION, 3) if key.startswith("`")}
    in_force = dict(settings())
    assert sorted(documented.keys() - in_force.keys()) == [], "documented, but no longer there"
    assert sorted(in_force.keys() - documented.keys()) == [], "there, but not documented"
    assert {key: documented[key] for key in in_force if documented[key] != in_force[key]} == {}
    assert all(meaning for key, _, meaning in rows(CONFIGURATION, 3))


@pytest.mark.parametrize("document", ["README.md", "CONFIGURATION.md"])
def test_an_example_configuration_is_one(document, tmp_path):
    (example,) = blocks(document, "toml")
    (tmp_path / "gateway.toml").write_text(example)
    values = load(tmp_path / "gateway.toml", {"IMAGE_OPS_CLIENT_SECRET": "a", "IMAGE_OPS_TOKEN": "b"}, {})
    assert Settings.of(values).upstreams


def test_the_client_configuration_is_the_one_that_the_demo_prints():
    servers, vscode = (json.loads(block) for block in blocks("README.md", "json"))
    printed = client_configuration("http://127.0.0.1:8888", "kernel-gateway")["mcpServers"]
    assert servers["mcpServers"]["kernel-gateway"] == printed["kernel-gateway"]
    assert servers["mcpServers"]["kernel-gateway-stdio"]["args"] == printed["kernel-gateway-stdio"]["args"]
    assert vscode["servers"]["kernel-gateway"]["url"] == printed["kernel-gateway"]["url"]


async def test_the_first_cell_of_the_readme_runs(gateway_settings, world_and_app, tmp_path):
    world, app = await world_and_app(gateway_settings())
    bound = bind("127.0.0.1", 0)
    script, _ = blocks("README.md", "python")
    (tmp_path / "first_cell.py").write_text(script.replace("127.0.0.1:8888", f"127.0.0.1:{bound.port}"))
    token = world.mint("reader", "kernel.execute")
    async with app.serving(bound):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            tmp_path / "first_cell.py",
            env={**os.environ, "KERNEL_GATEWAY_TOKEN": token},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert re.findall(r"^result:\n(.*)$", output.decode(), re.MULTILINE) == ["array([0, 1, 2, 3, 4])", "np.int64(10)"]


async def test_what_an_agent_sees_in_the_readme_runs(gateway_settings, world_and_app):
    _, app = await world_and_app(gateway_settings())
    _, cell = blocks("README.md", "python")
    result = await app.gateway.execute(app.stdio_principal(), ExecuteRequest(cell))
    assert result.status == "ok", result.error
    first, second = result.stdout.splitlines()
    assert first.startswith("not_found ") and second == "True not_found"
    assert {call.status for call in result.calls} == {"ok", "not_found"}


def test_every_command_and_make_target_is_in_the_readme_and_there():
    (commands,) = (action.choices for action in __main__._parser()._actions if action.choices)
    told = re.findall(r"^\| `kernel-gateway (\w+)", README, re.MULTILINE)
    assert sorted(told) == sorted(commands)
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    table = "".join(line for line in README.splitlines() if line.startswith("| `make"))
    assert sorted(["help", *re.findall(r"`make (\w+)`", table)]) == sorted(targets)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere_and_lines_are_short(document):
    targets = re.findall(r"\]\(([^)#]+)", DOCUMENTS[document])
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
    lines = (line for line in DOCUMENTS[document].splitlines() if not line.startswith(("|", "  `")))
    assert [line for line in lines if len(line) > 120] == []


def doubled(text):
    """Beginnings that two lines of prose share: what is left where two versions of a sentence were both kept."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "  `", "#"))]
    counts = Counter(line[:25] for line in lines if len(line) >= 25)
    return [beginning for beginning, count in counts.items() if count > 1]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_line_of_prose_is_there_twice(document):
    assert doubled(DOCUMENTS[document]) == []


def test_a_sentence_that_is_there_in_two_versions_is_seen():
    assert doubled("of a `ToolError`: `denied`, `invalid`.\nof a `ToolError`: `denied`, `disabled`.\n") == [
        "of a `ToolError`: `denied"
    ]


def test_a_decision_is_dated_and_short():
    entries = re.split(r"^## ", DOCUMENTS["DECISIONS.md"], flags=re.MULTILINE)[1:]
    for entry in entries:
        title, *lines = entry.strip().splitlines()
        assert re.match(r"\d{4}-\d{2}-\d{2}: ", title), title
        assert 0 < len(lines) <= 10, title


def test_the_licence_is_apache_2_as_published():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
