"""What no file of the repository may hold. Each rule is a pure function of a text, and is itself shown to bite."""

import ast
import fnmatch
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = ("catalog/", "kernel_ext/", "kernel_gateway/", "notebooks/")
LOCKS = ("requirements/*.txt", "tests/node/package-lock.json")  # other people's words, and hashes that spell anything
MAX_LINES = 300

Find = Callable[[str], list[str]]
"""What is wrong in a text, a line each; empty where nothing is."""


def shipped_python(path: str) -> bool:
    return path.startswith(SHIPPED) and path.endswith(".py")


def in_tests(path: str) -> bool:
    return path.startswith("tests/") and path.endswith(".py")


def python(path: str) -> bool:
    return path.endswith(".py")


def written_here(path: str) -> bool:
    return not any(fnmatch.fnmatch(path, lock) for lock in LOCKS)


def lines_with(pattern: str, flags: int = 0) -> Find:
    """Finds lines. Patterns are spelled so that they do not find themselves in this file."""
    compiled = re.compile(pattern, flags)

    def find(text: str) -> list[str]:
        return [f"line {number}: {line.strip()[:120]}" for number, line in enumerate(text.splitlines(), 1)
                if compiled.search(line)]  # fmt: skip

    return find


def dotted(node: ast.AST) -> str:
    """`pytest.mark.skip` of such an expression; "" of any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def skips_without_reason(text: str) -> list[str]:
    """Skips and expected failures, as calls of pytest or as marks, that do not say why."""
    nodes = list(ast.walk(ast.parse(text)))
    calls = {node.func: node for node in nodes if isinstance(node, ast.Call)}
    skips = [node for node in nodes if dotted(node).startswith(("pytest.", "mark.")) and dotted(node).endswith(_SKIPS)]
    return [f"line {node.lineno}: {dotted(node)}" for node in skips if node not in calls or not has_reason(calls[node])]


_SKIPS = (".skip", ".skipif", ".xfail", ".importorskip")


def has_reason(call: ast.Call) -> bool:
    given = [each.value for each in call.keywords if each.arg == "reason"]
    if dotted(call.func).endswith(".skip") or dotted(call.func) == "pytest.xfail":  # a mark's may be the condition
        given += call.args[:1]
    return any(not isinstance(each, ast.Constant) or str(each.value or "").strip() for each in given)


def stand_in_classes(text: str) -> list[str]:
    """Classes that are named as if they stood in for the real thing."""
    words = ("Fake", "Mock", "Dummy")
    return [
        f"line {node.lineno}: class {node.name}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        and (node.name.lstrip("_").startswith(words) or node.name.rstrip("_0123456789").endswith(words))
    ]


def relative_imports(text: str) -> list[str]:
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def too_long(text: str) -> list[str]:
    lines = len(text.splitlines())
    return [f"{lines} lines; split it, {MAX_LINES} are allowed"] if lines > MAX_LINES else []


def unpinned_requirements(text: str) -> list[str]:
    """Lines of a lock file that are not `name==version` with hashes, or that say where to fetch from."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if not re.match(r"[A-Za-z0-9][\w.\[\],-]*==[^\s;*]+(\s*;[^\\]*?)?(\s+--hash=sha256:[0-9a-f]{64})+$", line):
            found.append(line[:120])
    return found


names_an_index = lines_with(
    r"(?:^|\s)(?:-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host)(?:[\s=]|$)|[a-z+]+://|@\s*file:"
)


def unpinned_packages(text: str) -> list[str]:
    """Entries of an npm lock file that name a registry or have no hash."""
    found = []
    for name, entry in json.loads(text)["packages"].items():
        if name and "integrity" not in entry and not entry.get("inBundle"):
            found.append(f"{name}: no integrity")
        found += [f"{name}: {key} {entry[key]}" for key in ("resolved", "link") if key in entry]
    return found


@dataclass(frozen=True)
class Rule:
    """`planted` are texts in which it must find something, `innocent` ones in which it must not."""

    applies: Callable[[str], bool]
    find: Find
    planted: tuple[str, ...]
    innocent: tuple[str, ...] = ("",)


_HASH = " --hash=sha256:" + "0" * 64

RULES = {
    "shipped code has nothing left to implement": Rule(
        shipped_python,
        lines_with(r"NotImplemented[E]rror"),
        ("raise NotImplemented" + "Error", "    raise NotImplemented" + "Error('later')"),
        ("return NotImplemented",),
    ),
    "no skip or expected failure without a reason": Rule(
        in_tests,
        skips_without_reason,
        (
            "@pytest.mark.skip\ndef test_x(): ...",
            "@pytest.mark.skip()\ndef test_x(): ...",
            "@pytest.mark.skip(reason='')\ndef test_x(): ...",
            "@pytest.mark.skipif(True)\ndef test_x(): ...",
            "@pytest.mark.xfail(strict=True)\nclass TestX: ...",
            "@pytest.mark.xfail(raises=ValueError, reason=' ')\ndef test_x(): ...",
            "@pytest.mark.xfail(True)\ndef test_x(): ...",
            "pytestmark = pytest.mark.skip",
            "pytestmark = [pytest.mark.node, pytest.mark.xfail]",
            "p = pytest.param(1, marks=pytest.mark.xfail)",
            "def test_x(): pytest.skip()",
            "def test_x(): pytest.xfail('')",
            "numpy = pytest.importorskip('numpy')",
            "from pytest import mark\n@mark.skip\ndef test_x(): ...",
        ),
        (
            "@pytest.mark.skip(reason='no kernel of that name')\ndef test_x(): ...",
            "@pytest.mark.skip('no kernel of that name')\ndef test_x(): ...",
            "@pytest.mark.skipif(True, reason=WHY)\ndef test_x(): ...",
            "@pytest.mark.xfail(reason=f'{who} says so')\ndef test_x(): ...",
            "pytest.skip('needs root')",
            "pytest.importorskip('numpy', reason='an extra')",
            "x = 1  # fmt: skip",
            "queue.skip()",
        ),
    ),
    "no shipped class is named as a stand-in": Rule(
        shipped_python,
        stand_in_classes,
        ("class FakeKernel: ...", "class _MockStore(dict): ...", "def f():\n  class UpDummy: ...", "class Fake2: ..."),
        ("class Kernel: ...\n# a Fake in words", "class Unmocked: ..."),
    ),
    "nothing is left for later": Rule(
        written_here,
        lines_with(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b"),
        ("# TO" + "DO: write", "x = 1  # FIX" + "ME", "<!-- XX" + "X -->"),
        ("# to do", "TODOS", "fixme_later"),
    ),
    "no relative imports": Rule(
        python,
        relative_imports,
        ("from . import x", "from .x import y", "def f():\n    from ..x import y"),
        ("from x import y", "import x.y"),
    ),
    "no shipped file is too long": Rule(
        shipped_python, too_long, ("x\n" * (MAX_LINES + 1), "\n" * 999), ("x\n" * MAX_LINES,)
    ),
    "no path of anybody's machine": Rule(
        lambda path: written_here(path) and path != "kernel_gateway/sandbox/probes.py",  # attacks look for such paths
        # /home/kernel is the sandbox's own; app and someone are nobody's
        lines_with(r"(?<![\w.}-])/(?:r[o]ot|w[o]rk)(?:/|\b)|/hom[e]/(?!(?:kernel|app|someone)\b)[a-z]|/User[s]/"),
        ("cd /r" + "oot/x", "PATH=/w" + "ork/main:/bin", "'/hom" + "e/alice/x'", "/User" + "s/alice", "see /r" + "oot"),
        ("/home/kernel/x", "https://host/work-items", "/tmp/x", "the root", "network/x", "/api/v1/roots", "a/work/b"),
    ),
    "no host of a package registry": Rule(
        lambda path: True,
        lines_with(r"py[p]i\.org|pythonhos[t]ed\.org|np[m]js\.org|deb\.deb[i]an\.org|yarnp[k]g\.com", re.IGNORECASE),
        ("https://py" + "pi.org/x", "files.pythonhos" + "ted.org", "registry.np" + "mjs.org", "DEB.deb" + "ian.org"),
        ("PyPI", "npm ci", "a Debian package"),
    ),
    "every requirement is pinned by hash": Rule(
        lambda path: fnmatch.fnmatch(path, "requirements/*.txt"),
        unpinned_requirements,
        (
            "a==1", "a>=1" + _HASH, "a" + _HASH, "a==1.*" + _HASH, "a==1 --hash=md5:0", "-r other.txt", "--pre",
            "a @ https://host/a.whl" + _HASH, "-e .", f"a==1 \\\n{_HASH}\nb==2",
        ),
        (f"a==1{_HASH}", f"# why\na[x]==1.0.post1 ; python_version < '3.12' \\\n   {_HASH} \\\n   {_HASH}\n"),
    ),
    "no requirement says where to fetch it": Rule(
        lambda path: path.startswith("requirements/"),
        names_an_index,
        ("-i host", "--index-url=host", "--extra-index-url host", "--find-links x", "--trusted-host h",
         "a @ https://h/a.whl", "a @ git+ssh://h/a", "a @ file:///x"),
        (f"a==1 \\\n   {_HASH}", "pillow>=12", "# --compiled by make lock"),
    ),
    "every npm package is pinned by hash and names no registry": Rule(
        lambda path: path.endswith("package-lock.json"),
        unpinned_packages,
        (
            '{"packages": {"node_modules/a": {"version": "1"}}}',
            '{"packages": {"node_modules/a": {"integrity": "sha512-x", "resolved": "https://h/a.tgz"}}}',
        ),
        (
            '{"packages": {"": {"name": "x"}, "node_modules/a": {"integrity": "sha512-x"}}}',
            '{"packages": {"node_modules/a/node_modules/b": {"inBundle": true}}}',
        ),
    ),
    "no word about who or what wrote it": Rule(
        # A secret scanner and its test name the issuers of the secrets they know.
        lambda path: written_here(path)
        and path not in ("kernel_gateway/audit/tokens.py", "tests/audit/test_redaction_recall.py"),
        lines_with(
            r"cl[a]ude|anthr[o]pic|chat ?g[p]t|\bg[p]t-\d|copil[o]t|\bcod[e]x\b|co-authored-b[y]|signed-off-b[y]"
            r"|\b(?:a[i]|ll[m])[- ](?:generated|written|authored|assisted)"
            r"|(?:generated|written|authored) (?:by|with) (?:an? )?(?:a[i]|ll[m])\b",
            re.IGNORECASE,
        ),
        ("by Cla" + "ude", "Anthr" + "opic", "Chat" + "GPT", "GitHub Copil" + "ot", "A" + "I-generated",
         "Co-authored-B" + "y: x", "# Generated with A" + "I", "written by an L" + "LM"),
        ("an agent sends a cell", "generated from the document", "wait, said the client", "MCP client", "aid"),
    ),
}  # fmt: skip

every_rule = pytest.mark.parametrize("name", RULES)


def git_files(root: Path) -> list[str] | None:
    """What git tracks or would track; None where there is no git, or this is no clone."""
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files", "-z", "--cached", "--others",
               "--exclude-standard"]  # fmt: skip
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        return None
    return sorted({name for name in listed.split("\0") if (root / name).is_file()})


def walked_files(root: Path) -> list[str]:
    """The same for a plain copy, by the simple patterns that .gitignore is kept to."""
    patterns = [line.strip("/") for line in (root / ".gitignore").read_text().split()]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [
            each for each in folders if each != ".git" and not any(fnmatch.fnmatch(each, p) for p in patterns)
        ]
        here = [Path(folder) / name for name in names]
        found += [path.relative_to(root).as_posix() for path in here if path.is_file()]
    return sorted(found)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """Every text file of the repository by its path. A file that is not UTF-8 is no text."""
    texts = {}
    for name in git_files(ROOT) or walked_files(ROOT):
        try:
            texts[name] = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def findings(rule: Rule, files: dict[str, str]) -> Iterator[str]:
    for name, text in files.items():
        if rule.applies(name):
            yield from (f"{name}: {found}" for found in rule.find(text))


@every_rule
def test_the_repository_keeps_the_rule(files, name):
    assert list(findings(RULES[name], files)) == []


@every_rule
def test_the_rule_applies_to_something(files, name):
    assert any(RULES[name].applies(path) for path in files)


@every_rule
def test_the_rule_finds_what_is_planted(tmp_path, name):
    for number, text in enumerate(RULES[name].planted):
        path = tmp_path / f"planted_{number}"
        path.write_text(text)
        assert RULES[name].find(path.read_text()), text


@every_rule
def test_the_rule_lets_the_innocent_be(name):
    for text in RULES[name].innocent:
        assert RULES[name].find(text) == [], text


def test_a_walk_misses_nothing_that_git_lists():
    tracked = git_files(ROOT)
    if tracked is None:
        pytest.skip("this is no clone, or git is not installed: the walk is all there is")
    assert set(tracked) - set(walked_files(ROOT)) == set()


def test_an_ignored_file_is_not_judged(tmp_path):
    (tmp_path / ".gitignore").write_text("/build/\n__pycache__/\n")
    for name in ("new.py", "build/x.py", "a/__pycache__/x.py", "a/y.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert walked_files(tmp_path) == [".gitignore", "a/y.py", "new.py"]
