"""Holds a document against the rules. Never raises, whatever the document: what is wrong with it is a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from catalog.document import DocumentError, escape
from catalog.openapi import operations
from catalog.operation import Operation
from catalog.rules import DOCUMENT_RULES, OPERATION_RULES
from catalog.view import all_sources

VALID = "valid-schema"  # the broker's validator can be built from what is served
SERVABLE = "servable"  # the last rule: the strict reading, by which a document is served, accepts it


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str
    pointer: str
    message: str

    def __str__(self) -> str:
        return f"#{self.pointer}: {self.message} [{self.rule}]"


def lint(document: Any, server: str) -> list[Finding]:
    """What keeps the document from being served as `server`: first the document's rules, then each operation's."""
    if not isinstance(document, Mapping):
        return [Finding(SERVABLE, "", "an OpenAPI document is an object")]
    told = [(rule.__name__, *each) for rule in DOCUMENT_RULES for each in rule(document)]
    for source in all_sources(document):
        told += [(rule.__name__, *each) for rule in OPERATION_RULES for each in rule(document, source)]
    try:
        for operation in operations(document, server, strict=True):
            told += [
                (VALID, f"/paths/{escape(operation.path)}/{operation.method.lower()}", message)
                for message in _invalid(operation)
            ]
    except DocumentError as error:
        told.append((SERVABLE, error.pointer, error.message))
    return [Finding(rule.replace("_", "-"), pointer, message) for rule, pointer, message in dict.fromkeys(told)]


def _invalid(operation: Operation) -> list[str]:
    found = []
    for name, schema in (("arguments", operation.arguments), ("answer", operation.answer)):
        try:
            jsonschema_rs.Draft202012Validator(dict(schema))
        except ValueError as error:
            found.append(f"the {name} are no valid JSON schema: {str(error).splitlines()[0]}")
    return found
