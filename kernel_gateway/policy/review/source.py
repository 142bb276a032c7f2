"""A cell's text -> Python's syntax tree, within bounds, and the parts of it that are IPython's own syntax.

IPython changes only what Python would refuse, except for prompts and common indentation, which hide no name: so a text
that parses is read as it is. IPython evaluates `{...}` and `$name` in every command, help included.
"""

import ast
import re
import threading
import warnings
from collections.abc import Container, Iterator, Sized
from dataclasses import dataclass

from kernel_gateway.policy.review.finding import Violation
from kernel_gateway.policy.review.rules import violation
from kernel_gateway.policy.review.vocabulary import CODE_MAGICS, HARMLESS_MAGICS, TRANSPARENT_MAGICS

MAX_BYTES = 64 * 1024  # the contract's longest cell
MAX_DEPTH = 120  # levels of the tree: reading takes 3 calls a level, of Python's 1,000; long chains come to 60
SMALL_NAMES = 500  # of earlier cells, all of which one short line can lead to
SMALL_BYTES = 4 * 1024  # read within 5 ms, within 25 ms however it is written; 64 KiB may take 350 ms

_FILE = "<cell>"
_parsing = threading.Lock()  # filters of warnings belong to the whole process

_COMMAND = re.compile(r"(?P<target>(?:[\w.,\[\]'\" *]+=\s*)?)(?P<sign>%%?|!!?|\?\??)(?P<rest>.*)")
_CALLED = re.compile(r"[,;/]\s*\w")
_HELP = re.compile(r"\?{1,2}\s*%{0,2}[\w.*]*|%{0,2}(?!\d)[\w*]+(?:\.(?!\d)[\w*]+|\[-?\d+\])*\?{1,2}")
_MARK = re.compile(r"(?:>>>|In \[|\[(?:nav|ins)\]|\.\.\.|[%!?,;/]).*|.*(?:\?|=\s*[%!].*)")
_CLASSIC = re.compile(r"^\s*(?:>>>|\.\.\.)(?: |$)")
_NUMBERED = re.compile(r"^(?:(?:\[nav\]|\[ins\])? ?In \[\d+\]: |\s*\.{3,}: ?)")
_SEPARATORS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # end a line for IPython, and none for Python


@dataclass(frozen=True, slots=True)
class Parsed:
    """`nodes` is the whole tree, outermost first. Without a tree the cell was refused, or is no Python."""

    tree: ast.Module | None
    nodes: tuple[ast.AST, ...]
    violations: tuple[Violation, ...]


def is_small(code: str, known: Sized = ()) -> bool:
    """Whether the review of `code` may run on the event loop; else it belongs on a thread. `known` as for `parse`."""
    if len(known) > SMALL_NAMES:
        return False
    return len(code) * 4 <= SMALL_BYTES or len(code.encode(errors="surrogatepass")) <= SMALL_BYTES


def parse(code: str, known: Container[str] = ()) -> Parsed:
    """Never raises, whatever the text. `known` are the names that earlier cells defined."""
    if len(code) > MAX_BYTES or len(code.encode(errors="surrogatepass")) > MAX_BYTES:
        return _without_tree(violation("too_large", 0))
    found: list[Violation] = []
    if odd := _SEPARATORS.search(code):
        found.append(violation("odd_separator", code.count("\n", 0, odd.start()) + 1, odd[0]))
    try:
        tree = _tree(code)
        if isinstance(tree, SyntaxError) and not _is_hostile(tree):
            plain, commands = _as_python(code)
            found += commands
            tree = _tree(plain)
        if isinstance(tree, SyntaxError):
            rule = "hostile_syntax" if _is_hostile(tree) else "unreadable" if _is_marked(code) else "not_python"
            return _without_tree(*found, violation(rule, tree.lineno or 0))
        nodes = _nodes(tree)
    except (ValueError, RecursionError, MemoryError, OverflowError):
        return _without_tree(violation("hostile_syntax", 0))
    if nodes is None:
        return _without_tree(violation("hostile_syntax", 0))
    return Parsed(tree, nodes, (*found, *_automagic(code, known)))


def _without_tree(*violations: Violation) -> Parsed:
    return Parsed(None, (), violations)


def _tree(code: str) -> ast.Module | SyntaxError:
    """Text that Python warns about is the agent's matter, and is warned about in the kernel."""
    try:
        with _parsing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code, _FILE)
    except SyntaxError as error:
        return error


def _is_hostile(error: SyntaxError) -> bool:
    """Limits of the parser, which nobody reaches by a slip."""
    return str(error.msg).startswith(("too many", "source code", "Exceeds the limit"))


def _is_marked(code: str) -> bool:
    """Whether IPython may make Python of it in a way that was not followed."""
    return any(_MARK.fullmatch(line.strip()) for line in code.splitlines())


def _nodes(tree: ast.Module) -> tuple[ast.AST, ...] | None:
    """Level by level, so that depth is known before anything recurs into it; None where it is too deep."""
    nodes: list[ast.AST] = []
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        nodes += level
        level = [child for node in level for child in children(node)]
        if not level:
            return tuple(nodes)
    return None


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of `node` that say something (a context such as Load does not)."""
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            for each in value:
                if isinstance(each, ast.AST):
                    yield each
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            yield value


def paired(target: ast.AST, value: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """What `a, b = x, y` gives to what; nothing where it is not written out like this."""
    if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        return list(zip(target.elts, value.elts, strict=True)) if len(target.elts) == len(value.elts) else []
    return []


def root(node: ast.AST) -> ast.AST:
    """What the attributes of `node` are looked up on: `a` of `a.b.c`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _as_python(code: str) -> tuple[str, list[Violation]]:
    """The text with IPython's syntax taken out, line for line, and what was in it."""
    lines = _unprompted(code.splitlines())
    found: list[Violation] = []
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if lines and lines[first].startswith("%%"):
        name, _, rest = lines[first][2:].partition(" ")
        if name not in TRANSPARENT_MAGICS or not _is_inert(rest):
            return "", [violation("magic", first + 1, lines[first])]
        lines[first] = ""
    held = False  # by a backslash of the command before
    for number, line in enumerate(lines):
        replaced = "" if held else _command(line, number + 1, found)
        if replaced is not None:
            held = line.endswith("\\")
            lines[number] = replaced
    return "\n".join(lines), found


def _unprompted(lines: list[str]) -> list[str]:
    """Without pasted prompts and the indentation that all lines share."""
    lines = _dedented(lines)
    for prompt, marks in ((_CLASSIC, (">>>",)), (_NUMBERED, ("In [", "[nav]", "[ins]"))):
        if any(line.lstrip().startswith(marks) for line in lines):
            lines = _dedented([prompt.sub("", line, count=1) for line in lines])
    return lines


def _dedented(lines: list[str]) -> list[str]:
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    return [line.removeprefix(indent) for line in lines] if indent else lines


def _command(line: str, number: int, found: list[Violation]) -> str | None:
    """What stands for `line` in Python where it is a command; None where it is none."""
    said = line.strip()
    indent = line[: len(line) - len(line.lstrip())]
    if _HELP.fullmatch(said):
        return indent + "None"
    command = _COMMAND.match(said)
    if command is None:
        if not _CALLED.match(said):
            return None
        found.append(violation("magic", number, said))
        return indent + "None"
    name, _, rest = command["rest"].partition(" ")
    if command["sign"] == "%" and _is_inert(rest) and name in TRANSPARENT_MAGICS | HARMLESS_MAGICS:
        return indent + command["target"] + (rest.strip() if name == "time" and rest.strip() else "None")
    rule = "shell" if command["sign"].startswith("!") else "magic"
    found.append(violation(rule, number, command["sign"] + command["rest"]))
    return indent + command["target"] + "None"


def _is_inert(arguments: str) -> bool:
    return not {"{", "$"} & set(arguments)


def _automagic(code: str, known: Container[str]) -> list[Violation]:
    """IPython takes a cell of one line as a command where its first word is one's name, and no variable's."""
    lines = [line.strip() for line in _unprompted(code.splitlines()) if line.strip()]
    first = re.match(r"\w+", lines[0]) if len(lines) == 1 else None
    if first is None or first[0] not in CODE_MAGICS or first[0] in known:
        return []
    rest = lines[0][first.end() :].lstrip()
    assigns = rest.startswith("=") and not rest.startswith("==")
    return [] if assigns or lines[0][first.end() :].startswith(".") else [violation("magic", 1, lines[0])]
