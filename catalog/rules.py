"""The rules a served document must meet, each one function. What a rule says, and why, is its docstring."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from catalog.document import DocumentError, escape, target
from catalog.openapi import MAX_NAME, NAME, Source, json_content
from catalog.operation import Effect
from catalog.risk import Risk, may_say
from catalog.view import (
    all_sources,
    answer_schemas,
    declared_scopes,
    everything,
    listed,
    mapping,
    parameters,
    request_schemas,
    responses,
    split_url,
    text,
    types,
)

Told = Iterator[tuple[str, str]]  # where (a JSON pointer) and what, in one line
DocumentRule = Callable[[Mapping[str, Any]], Told]
OperationRule = Callable[[Mapping[str, Any], Source], Told]

MIN_SUMMARY, MAX_SUMMARY = 10, 120  # a search hit is one line of about 40 tokens

_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_URL_NAME = re.compile(r"(^|_)(url|uri|href|link)s?$", re.IGNORECASE)
_CREDENTIAL = re.compile(
    r"(^|[_-])(password|passwd|secret|api[_-]?key|access[_-]?token|private[_-]?key)$", re.IGNORECASE
)
_BOUNDED_FORMATS = ("date", "date-time", "time", "uuid", "ipv4", "ipv6")


def openapi_version(document: Mapping[str, Any]) -> Told:
    """OpenAPI 3.1, whose schemas are JSON Schema: earlier ones mean other things by the same words."""
    if not str(document.get("openapi", "")).startswith("3.1."):
        yield "/openapi", "must be 3.1.x"


def described_api(document: Mapping[str, Any]) -> Told:
    """A title and a version: people and agents read the one, release notes name the other."""
    for key in ("title", "version"):
        if not text(mapping(document.get("info")).get(key)):
            yield "/info", f"`{key}` is missing"


def plain_servers(document: Mapping[str, Any]) -> Told:
    """Server URLs are https and carry no user, password, query or fragment: documents are public, credentials not."""
    for number, server in enumerate(listed(document.get("servers"))):
        parts = split_url(text(mapping(server).get("url")))
        if parts is None or parts.scheme != "https" or "@" in parts.netloc or parts.query or parts.fragment:
            yield f"/servers/{number}/url", "must be an https URL without user, password, query or fragment"


def one_server_list(document: Mapping[str, Any]) -> Told:
    """`servers` only at the top: where requests go is configured once per API, never per operation."""
    for source in all_sources(document):
        for where, holder in ((source.pointer, source.text), (source.pointer.rpartition("/")[0], source.item)):
            if "servers" in holder:
                yield f"{where}/servers", "move it to the top of the document"


def local_references(document: Mapping[str, Any]) -> Told:
    """Every $ref points into this document: what is reviewed is what is served."""
    for pointer, value in everything(document):
        reference = value.get("$ref") if isinstance(value, Mapping) else None
        if isinstance(reference, str):
            try:
                target(document, reference)
            except DocumentError as error:
                yield f"{pointer}/$ref", error.message


def bearer_security(document: Mapping[str, Any]) -> Told:
    """Security schemes that put a token in a header: one in a URL or a cookie ends up in logs."""
    schemes = mapping(mapping(document.get("components")).get("securitySchemes"))
    for name, scheme in schemes.items():
        if mapping(scheme).get("type") not in ("oauth2", "openIdConnect"):
            yield f"/components/securitySchemes/{escape(str(name))}", "must be of type oauth2 or openIdConnect"


def unique_ids(document: Mapping[str, Any]) -> Told:
    """No operationId twice: it is the operation's name everywhere."""
    found = list(all_sources(document))
    count = Counter(str(source.text.get("operationId")) for source in found)
    for source in found:
        if count[str(source.text.get("operationId"))] > 1:
            yield f"{source.pointer}/operationId", f"`{source.text.get('operationId')}` is used more than once"


def operation_id(document: Mapping[str, Any], source: Source) -> Told:
    """A snake_case operationId: it becomes a Python function and a tool name."""
    name = source.text.get("operationId")
    if not (isinstance(name, str) and NAME.fullmatch(name) and len(name) <= MAX_NAME):
        yield f"{source.pointer}/operationId", f"must be a snake_case name of at most {MAX_NAME} characters"


def summary(document: Mapping[str, Any], source: Source) -> Told:
    """A summary of one line: it is the search hit, and most of what an agent chooses by."""
    line = text(source.text.get("summary"))
    if not MIN_SUMMARY <= len(line) <= MAX_SUMMARY or "\n" in line or line.endswith("."):
        yield (
            f"{source.pointer}/summary",
            f"must be one line of {MIN_SUMMARY} to {MAX_SUMMARY} characters, no full stop",
        )


def description(document: Mapping[str, Any], source: Source) -> Told:
    """A description, for the operation and each parameter: it is the function's documentation."""
    if not text(source.text.get("description")):
        yield f"{source.pointer}/description", "is missing"
    for pointer, parameter in parameters(document, source):
        if not text(parameter.get("description")):
            yield f"{pointer}/description", "is missing"


def declared_tag(document: Mapping[str, Any], source: Source) -> Told:
    """At least one tag, declared at the top: it groups operations for people."""
    declared = [mapping(tag).get("name") for tag in listed(document.get("tags"))]
    tags = listed(source.text.get("tags"))
    if not tags or any(tag not in declared for tag in tags):
        yield f"{source.pointer}/tags", "must name tags that the document declares"


def effect(document: Mapping[str, Any], source: Source) -> Told:
    """`x-effect` on every operation: policy rests on it, so it is said, never guessed."""
    if source.text.get("x-effect") not in tuple(Effect):
        yield f"{source.pointer}/x-effect", f"must be one of {', '.join(Effect)}"


def effect_fits_method(document: Mapping[str, Any], source: Source) -> Told:
    """GET only reads and DELETE deletes: an effect milder than the method is a mistake or a trick."""
    said = source.text.get("x-effect")
    if (source.method in ("get", "head") and said != "read") or (source.method == "delete" and said != "delete"):
        yield f"{source.pointer}/x-effect", f"`{said}` does not fit {source.method.upper()}"


def risk_only_raises(document: Mapping[str, Any], source: Source) -> Told:
    """`x-risk`, where it is said, is no milder than the effect: it asks for more care, never for less."""
    said, of_effect = source.text.get("x-risk"), source.text.get("x-effect")
    known = said in tuple(Risk) and of_effect in tuple(Effect)
    if "x-risk" in source.text and not (known and may_say(Effect(str(of_effect)), Risk(str(said)))):
        yield f"{source.pointer}/x-risk", f"must be one of {', '.join(Risk)}, and no milder than the effect"


def one_scope(document: Mapping[str, Any], source: Source) -> Told:
    """Exactly one scope, declared by its scheme: a person can grant precisely this operation."""
    security = source.text.get("security", document.get("security"))
    named = [
        (scheme, scope)
        for requirement in listed(security)
        for scheme, scopes in (mapping(requirement).items() or [("", [])])
        for scope in (listed(scopes) or [""])
    ]
    if len(named) != 1 or not isinstance(named[0][1], str) or not named[0][1]:
        yield f"{source.pointer}/security", "must name one scheme with exactly one scope"
    elif named[0][1] not in declared_scopes(document, named[0][0]):
        yield f"{source.pointer}/security", f"the scope `{named[0][1]}` is not declared by `{named[0][0]}`"


def json_answer(document: Mapping[str, Any], source: Source) -> Told:
    """A 2xx answer with a JSON schema: the broker checks what the upstream says against it."""
    good = [each for each in responses(document, source) if each[0].startswith("2")]
    if not good:
        yield f"{source.pointer}/responses", "no 2xx answer is documented"
    for status, pointer, response in good:
        if not mapping(mapping(json_content(response)).get("schema")):
            yield pointer, f"the answer {status} needs an application/json schema"


def problem_answers(document: Mapping[str, Any], source: Source) -> Told:
    """Errors are application/problem+json (RFC 9457), for the caller's faults and the server's alike."""
    bad = [each for each in responses(document, source) if each[0][:1] in ("4", "5") or each[0] == "default"]
    for family in ("4", "5"):
        if not any(status.startswith(family) or status == "default" for status, _, _ in bad):
            yield f"{source.pointer}/responses", f"no {family}xx answer is documented"
    for status, pointer, response in bad:
        if list(mapping(response.get("content"))) != ["application/problem+json"]:
            yield pointer, f"the answer {status} must be application/problem+json"


def closed_objects(document: Mapping[str, Any], source: Source) -> Told:
    """Objects in requests say `additionalProperties: false`: a misspelt name is an error here, not silence there."""
    for pointer, schema in request_schemas(document, source):
        if "object" in types(schema) and schema.get("additionalProperties") is not False:
            yield pointer, "an object in a request needs `additionalProperties: false`"


def typed_requests(document: Mapping[str, Any], source: Source) -> Told:
    """Every part of a request has a type or its choices: `{}` accepts anything of any size."""
    says = ("type", "enum", "const", "$ref", "oneOf", "anyOf", "allOf", "not", "required")
    for pointer, schema in request_schemas(document, source):
        if not any(key in schema for key in says):
            yield pointer, "needs a `type`, an `enum` or a `const`"


def bounded_requests(document: Mapping[str, Any], source: Source) -> Told:
    """Every string, array and number of a request has an upper bound, so that no argument is larger than foreseen."""
    for pointer, schema in request_schemas(document, source):
        kinds = types(schema)
        if "enum" in schema or "const" in schema:
            continue
        if "string" in kinds and not (
            {"maxLength", "pattern"} & schema.keys() or schema.get("format") in _BOUNDED_FORMATS
        ):
            yield pointer, "a string in a request needs `maxLength`, `pattern` or `enum`"
        if "array" in kinds and "maxItems" not in schema:
            yield pointer, "an array in a request needs `maxItems`"
        if kinds & {"integer", "number"} and not (
            {"minimum", "exclusiveMinimum"} & schema.keys() and {"maximum", "exclusiveMaximum"} & schema.keys()
        ):
            yield pointer, "a number in a request needs `minimum` and `maximum`"


def idempotency_key(document: Mapping[str, Any], source: Source) -> Told:
    """What changes something takes an Idempotency-Key, what deletes requires one: a retry must never act twice."""
    said = source.text.get("x-effect")
    keys = [
        each
        for _, each in parameters(document, source)
        if each.get("in") == "header" and str(each.get("name")).lower() == "idempotency-key"
    ]
    if said != "read" and not keys:
        yield f"{source.pointer}/parameters", "an operation that is not a read takes an Idempotency-Key header"
    if said == "delete" and keys and keys[0].get("required") is not True:
        yield f"{source.pointer}/parameters", "an operation that deletes requires the Idempotency-Key header"


def sensitive_urls(document: Mapping[str, Any], source: Source) -> Told:
    """URLs in answers are marked `x-sensitive: signed-url`: that turns them into handles before a cell sees them."""
    for where, schema in answer_schemas(document, source):
        named = where.rpartition("/properties/")[2]
        by_name = "string" in types(schema) and _URL_NAME.search(named) is not None
        if (by_name or schema.get("format") in ("uri", "iri", "url")) and schema.get("x-sensitive") != "signed-url":
            yield where, "a URL in an answer needs `x-sensitive: signed-url`"


def no_credentials(document: Mapping[str, Any], source: Source) -> Told:
    """No argument is a credential: cell code has none, and the gateway's own stay outside the sandbox."""
    names = [(pointer, str(each.get("name"))) for pointer, each in parameters(document, source)]
    names += [
        (pointer, str(name))
        for pointer, schema in request_schemas(document, source)
        for name in mapping(schema.get("properties"))
    ]
    for pointer, name in names:
        if _CREDENTIAL.search(name):
            yield pointer, f"`{name}` looks like a credential; the gateway presents its own"


def no_links(document: Mapping[str, Any], source: Source) -> Told:
    """No URL, host or path in text that enters the sandbox: cells know operations, not addresses."""
    texts = [(f"{source.pointer}/{key}", source.text.get(key)) for key in ("summary", "description")]
    texts += [(f"{pointer}/description", each.get("description")) for pointer, each in parameters(document, source)]
    for found in (request_schemas, answer_schemas):
        texts += [(f"{where}/description", each.get("description")) for where, each in found(document, source)]
    urls = [split_url(text(mapping(server).get("url"))) for server in listed(document.get("servers"))]
    addresses = [source.path, *(url.netloc for url in urls if url and url.netloc)]
    for where, said in texts:
        if _LINK.search(text(said)) or any(address in text(said) for address in addresses):
            yield where, "must not hold a URL, a host or the operation's path"


DOCUMENT_RULES: tuple[DocumentRule, ...] = (
    openapi_version,
    described_api,
    plain_servers,
    one_server_list,
    local_references,
    bearer_security,
    unique_ids,
)
OPERATION_RULES: tuple[OperationRule, ...] = (
    operation_id,
    summary,
    description,
    declared_tag,
    effect,
    effect_fits_method,
    risk_only_raises,
    one_scope,
    json_answer,
    problem_answers,
    closed_objects,
    typed_requests,
    bounded_requests,
    idempotency_key,
    sensitive_urls,
    no_credentials,
    no_links,
)
