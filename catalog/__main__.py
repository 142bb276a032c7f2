"""The catalog on the command line, without the service: search, lint, show, review."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from catalog.document import DocumentError, files, read, server_of
from catalog.index import LOW_CONFIDENCE
from catalog.lint import lint
from catalog.operation import Catalog, Operation
from catalog.reviewed import SPECS, block, is_pinned, pins, written


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str], prog: str = "python -m catalog") -> int:
    """0, 1 for findings and failures, 2 for usage. `kernel-gateway catalog` calls it with its own `prog`."""
    try:
        arguments = _parser(prog).parse_args(argv)
        return int(arguments.run(arguments))
    except _UsageError as error:
        return _fail(str(error), 2)
    except DocumentError as error:
        return _fail(str(error), 1)
    except SystemExit as left:  # --help
        return int(left.code or 0)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=prog, description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, explained: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=explained, description=explained)
        made.set_defaults(run=run)
        return made

    search = command("search", _search, "operations that fit a request in plain words, best first")
    search.add_argument("query")
    search.add_argument("--limit", type=_positive, default=10)
    check = command(
        "lint", _lint, "what keeps documents from being served; without files, every document and its reviews"
    )
    check.add_argument("files", nargs="*", type=Path, metavar="F")
    show = command("show", _show, "one operation as it is served")
    show.add_argument("operation", metavar="OP")
    review = command("review", _review, "print the reviewed.toml block that serves an operation as it stands")
    review.add_argument("operation", metavar="OP")
    review.add_argument("--reviewer", required=True, type=_words)
    review.add_argument("--reason", required=True, type=_words)
    review.add_argument("--date", required=True, type=_date)
    for each in (search, check, show, review):
        each.add_argument("--specs", type=Path, default=SPECS, metavar="DIR", help="the folder of documents")
    return parser


def _search(arguments: argparse.Namespace) -> int:
    index = written(arguments.specs).index
    for hit in index.search(arguments.query, arguments.limit):
        operation = hit.operation
        sys.stdout.write(f"{hit.score:.2f}  {operation.id}  {operation.effect}  {operation.summary}\n")
    if index.confidence(arguments.query) < LOW_CONFIDENCE:
        sys.stderr.write("nothing fits well; try other words, or an operation id\n")
    return 0


def _lint(arguments: argparse.Namespace) -> int:
    paths = arguments.files or _documents(arguments.specs)
    lines = []
    for path in paths:
        lines += [f"{path.name}{finding}" for finding in lint(read(path), server_of(path))]
    if not arguments.files and not lines:
        pinned = pins(arguments.specs / "reviewed.toml")
        catalog = written(arguments.specs)
        lines += [
            f"{each.id}: not reviewed as it stands [reviewed]"
            for each in catalog.operations
            if not is_pinned(each, pinned)
        ]
        lines += [
            f"{each}: reviewed, but no document has it [reviewed]" for each in pinned if catalog.get(each) is None
        ]
    sys.stdout.writelines(f"{line}\n" for line in lines or [f"no findings: {', '.join(path.name for path in paths)}"])
    return 1 if lines else 0


def _show(arguments: argparse.Namespace) -> int:
    operation = _one(written(arguments.specs), arguments.operation)
    reviews = arguments.specs / "reviewed.toml"
    pinned = pins(reviews) if reviews.exists() else {}
    review = "not reviewed as it stands: not served"
    if is_pinned(operation, pinned):
        pin = pinned[operation.id]
        review = f"{pin.date} by {pin.reviewer}: {pin.reason}"
    facts = {
        "operation": f"{operation.id}  {operation.method} {operation.path}",
        "summary": operation.summary,
        "effect": operation.effect.value,
        "scope": operation.scope,
        "idempotency": operation.idempotency.value,
        "digest": operation.digest,
        "review": review,
        "arguments": json.dumps(operation.arguments, indent=2, ensure_ascii=False),
        "answer": json.dumps(operation.answer, indent=2, ensure_ascii=False),
    }
    sys.stdout.writelines(f"{name + ':':13}{value}\n" for name, value in facts.items())
    return 0


def _review(arguments: argparse.Namespace) -> int:
    operation = _one(written(arguments.specs), arguments.operation)
    sys.stdout.write(block(operation, reviewer=arguments.reviewer, date=arguments.date, reason=arguments.reason))
    return 0


def _documents(folder: Path) -> list[Path]:
    try:
        return files(folder)
    except OSError as error:
        raise DocumentError(f"cannot read the folder `{folder}`: {error.strerror}") from error


def _one(catalog: Catalog, wanted: str) -> Operation:
    """By id, or by a name that only one server has."""
    found = [each for each in catalog.operations if wanted in (each.id, each.name)]
    if len(found) != 1:
        raise DocumentError(
            f"no operation `{wanted}`; find one with search"
            if not found
            else f"`{wanted}` is not unique; write SERVER:{wanted}"
        )
    return found[0]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number of hits")
    return int(text)


def _words(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise argparse.ArgumentTypeError("one line of text is needed")
    return text.strip()


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not a date like 2026-01-31") from None


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"{' '.join(message.split())}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
