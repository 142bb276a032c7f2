"""Who may answer for others. Pure, and its law: never who asks, and nobody whose client runs cells."""

from collections.abc import Collection

from kernel_gateway.approvals.pending import Pending
from kernel_gateway.auth.principal import Principal

SCOPE = "kernel.approve"


def is_told(pending: Pending, who: Principal) -> bool:
    """Whether `who` may know of it: a person's question, within the organisation, and not one's own."""
    return (
        pending.approver == "person"
        and pending.asker.organisation == who.organisation
        and pending.asker.subject != who.subject
    )


def why_not(who: Principal, agents: Collection[tuple[str, str]], clients: Collection[str]) -> str:
    """Why this caller approves nothing, in one line; "" where it may. `agents` are (organisation, client)."""
    if SCOPE not in who.scopes:
        return f"the scope `{SCOPE}` is missing; ask for a token that carries it"
    if clients and who.client not in clients:
        return "tokens of this client approve nothing; use one of `approvals.clients`"
    if (who.organisation, who.client) in agents:
        return "this client runs cells, so its tokens approve nothing; sign in with a client that people use"
    return ""


def without_approval(who: Principal) -> Principal:
    """`who` as the one whose cells run: that authority never enters a session."""
    return who.narrowed(who.scopes - {SCOPE})
