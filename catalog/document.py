"""Reads an OpenAPI file into plain JSON values and follows the references inside it. Knows nothing of operations."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024  # the largest public API descriptions are about 15 MB
SUFFIXES = (".openapi.yaml", ".openapi.json")
_MAX_HOPS = 16  # a reference to a reference to ...: real documents use two


class DocumentError(ValueError):
    """The document cannot be used. One line; `pointer` (RFC 6901) says where."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(f"{message} (at `#{pointer}`)" if pointer else message)
        self.message, self.pointer = message, pointer


def server_of(path: Path) -> str:
    """The file name is the server's name: `image_ops.openapi.yaml` describes `image_ops`."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    raise DocumentError(f"`{path.name}` must be named SERVER{SUFFIXES[0]} or SERVER{SUFFIXES[1]}")


def files(folder: Path) -> list[Path]:
    """The documents of a specs folder, in a fixed order."""
    return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))


def read(path: Path) -> dict[str, Any]:
    """One document as JSON values. Raises DocumentError, also where it cannot be read or says a key twice."""
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise DocumentError(f"`{path.name}` is larger than {MAX_DOCUMENT_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocumentError(f"cannot read `{path}`: {error.strerror}; name an existing file") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"`{path.name}` is not UTF-8 text") from error
    try:
        value = json.loads(text, object_pairs_hook=_once) if path.suffix == ".json" else yaml.load(text, _Loader)  # noqa: S506 - derives from SafeLoader
    except (yaml.YAMLError, json.JSONDecodeError, RecursionError) as error:
        raise DocumentError(f"`{path.name}` does not parse: {' '.join(str(error).split())[:300]}") from error
    if not isinstance(value, dict):
        raise DocumentError(f"`{path.name}` is not an OpenAPI document: its top level must be an object")
    return value


class _Loader(yaml.SafeLoader):
    """YAML as JSON: keys are strings, dates stay text, and a repeated key is an error instead of a silent loss."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        pairs: list[tuple[str, Any]] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise DocumentError(f"a key on line {key.start_mark.line + 1} is not text")
            pairs.append((key.value, self.construct_object(value, deep=deep)))
        mapping: dict[Hashable, Any] = {}
        mapping.update(_once(pairs))
        return mapping


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DocumentError(f"the key `{twice}` appears twice in one object; keep one")
    return mapping


def follow(document: Mapping[str, Any], value: Any) -> Any:
    """`value`, or what it points to where it is a reference object. Raises DocumentError."""
    for _ in range(_MAX_HOPS):
        if not (isinstance(value, Mapping) and isinstance(value.get("$ref"), str)):
            return value
        value = target(document, value["$ref"])
    raise DocumentError("references lead in a circle")


def followed(document: Mapping[str, Any], value: Any, *, strict: bool) -> Mapping[str, Any]:
    """What `follow` finds, as an object; where there is none, an error in a strict document, else an empty one."""
    try:
        found = follow(document, value)
    except DocumentError:
        if strict:
            raise
        return {}
    if strict and not isinstance(found, Mapping):
        raise DocumentError("an object is needed here")
    return found if isinstance(found, Mapping) else {}


def target(document: Mapping[str, Any], reference: str) -> Any:
    """What a local reference (`#/a/b~1c`) points to. Raises DocumentError for any other kind, or for nothing there."""
    if not reference.startswith("#/"):
        raise DocumentError(f"`{reference}` is not a local reference; write #/components/...")
    value: Any = document
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise DocumentError(f"`{reference}` points to nothing", reference[1:])
    return value


def escape(part: str) -> str:
    """One step of a JSON pointer."""
    return part.replace("~", "~0").replace("/", "~1")
