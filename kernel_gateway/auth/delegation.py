"""Less authority than somebody has: for a session, for a delegate, for two together. Pure; it narrows, never widens."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kernel_gateway.auth.principal import Principal
from kernel_gateway.errors import GatewayError

NEVER_IN_A_SESSION = frozenset(("kernel.approve",))  # code that runs for somebody must not agree in their name
OF_ANY_SESSION = frozenset(("kernel.search", "kernel.execute", "kernel.read"))  # what it takes to be one


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who a session acts for, the flags that came through, and those that did not, in the order they were asked for."""

    principal: Principal
    granted: tuple[str, ...]
    skipped: tuple[str, ...]


def opener(principal: Principal) -> Principal:
    """`principal` as a session's owner: what the session holds as long as it lasts."""
    return principal.narrowed(principal.scopes - NEVER_IN_A_SESSION)


def delegate(
    principal: Principal, wanted: Iterable[str], flags: Mapping[str, frozenset[str]], reading: frozenset[str]
) -> Delegation:
    """What `principal` hands to a session: what only reads, and of `wanted` each flag whose every scope it holds.

    `reading` are the scopes that change nothing.
    """
    asked = tuple(dict.fromkeys(wanted))
    granted = tuple(flag for flag in asked if flag in flags and flags[flag] <= principal.scopes)
    handed = (reading | OF_ANY_SESSION).union(*(flags[flag] for flag in granted))
    skipped = tuple(flag for flag in asked if flag not in granted)
    return Delegation(opener(principal).narrowed(handed), granted, skipped)


def together(who: Principal, owner: Principal) -> Principal:
    """`who` at work in a session of `owner`: what both may do, until the token of `who` ends.

    The owner's part lasts as long as the session. Raises GatewayError("not_found") across organisations: for another
    organisation there is no such session.
    """
    if who.organisation != owner.organisation:
        raise GatewayError("not_found", "no such session")
    scopes = who.scopes & owner.scopes
    others = {(each.identity, each.role): each for each in (*who.alongside, owner, *owner.alongside)}
    others.pop((who.identity, who.role), None)
    return replace(
        who,
        scopes=scopes,
        alongside=tuple(
            replace(each, scopes=scopes, expires_at=who.expires_at, front_end=who.front_end, alongside=())
            for each in others.values()
        ),
    )
