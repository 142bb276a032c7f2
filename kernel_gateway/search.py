"""The contract's answer to a search: ranked operations a caller may use, and a hint where nothing fits. Pure."""

from typing import Any, NotRequired, TypedDict

from catalog import Catalog, Operation
from catalog.index import LOW_CONFIDENCE, is_id
from catalog.signature import in_order, signature
from kernel_gateway.errors import GatewayError

MAX_QUERY_CHARACTERS = 500
MAX_LIMIT = 50
DETAILS = ("brief", "signature", "full")


class SearchHit(TypedDict):
    operation: str
    method: str
    path: str
    summary: str
    effect: str
    scope: str
    inputs: list[str]
    score: float
    signature: NotRequired[str]
    schema: NotRequired[dict[str, Any]]


class SearchAnswer(TypedDict):
    hits: list[SearchHit]
    total: int
    confidence: float
    hint: str


def answer(catalog: Catalog, query: str, *, limit: int, server: str, detail: str) -> SearchAnswer:
    """`total` counts everything that matched; `catalog` holds only what the caller may use. Raises GatewayError."""
    if not query.strip() or len(query) > MAX_QUERY_CHARACTERS:
        raise GatewayError(
            "invalid", f"`query` must have 1 to {MAX_QUERY_CHARACTERS} characters; say what you want to do"
        )
    if not 1 <= limit <= MAX_LIMIT:
        raise GatewayError("invalid", f"`limit` must be 1 to {MAX_LIMIT}")
    if detail not in DETAILS:
        raise GatewayError("invalid", f"`detail` must be one of {', '.join(DETAILS)}")
    servers = sorted({operation.server for operation in catalog.operations})
    if server and server not in servers:
        raise GatewayError("not_found", f"no server `{server[:80]}` here; there is {', '.join(servers) or 'none'}")
    searched = catalog.only(lambda operation: operation.server == server) if server else catalog
    hits = searched.search(query, len(searched)) if len(searched) else []
    confidence = searched.index.confidence(query) if hits else 0.0
    return {
        "hits": [_hit(hit.operation, hit.score, detail) for hit in hits[:limit]],
        "total": len(hits),
        "confidence": round(confidence, 3),
        "hint": _hint(searched, query, bool(hits), confidence),
    }


def _hit(operation: Operation, score: float, detail: str) -> SearchHit:
    hit: SearchHit = {
        "operation": operation.id,
        "method": operation.method,
        "path": operation.path,
        "summary": operation.summary,
        "effect": operation.effect.value,
        "scope": operation.scope,
        "inputs": [parameter.name for parameter in in_order(operation) if parameter.required],
        "score": round(score, 3),
    }
    if detail != "brief":
        hit["signature"] = signature(operation)
    if detail == "full":
        hit["schema"] = {"arguments": dict(operation.arguments), "answer": dict(operation.answer)}
    return hit


def _hint(catalog: Catalog, query: str, found: bool, confidence: float) -> str:
    if not len(catalog):
        return (
            "you may use no operation here; the token (on stdio: auth.stdio.scopes) must hold the operations' scopes, "
            "and its role must show their servers"
        )
    if found and confidence >= LOW_CONFIDENCE:
        return ""
    if is_id(query) and (near := catalog.nearest(query)):
        return f"no operation has this id; nearest: {', '.join(near)}"
    names = ", ".join(operation.id for operation in catalog.operations[:8])
    return f"nothing fits well; rephrase, or look at what there is: {names}"
