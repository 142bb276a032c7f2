"""Asks for everyone whose authority a request needs, and about the server each one's role must show. Pure."""

import hashlib
from dataclasses import dataclass, field, replace

from kernel_gateway.policy.actions import BLOBS, CALL
from kernel_gateway.policy.request import Authorizer, Decision, Request
from kernel_gateway.policy.roles import Roles

_OF_A_SERVER = BLOBS | {CALL}  # their resource begins with the server's name


@dataclass(frozen=True, slots=True)
class Together:
    """Whoever works in another's session needs both authorities: what one of them may not do is not done.

    Only where nothing else stands against it does it wait for an approval.
    """

    authorizer: Authorizer
    roles: Roles
    _said: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_said", self.roles.model_dump_json())

    @property
    def digest(self) -> str:
        """Also of the roles: what was approved under others is void."""
        return hashlib.sha256(f"{self.authorizer.digest} {self._said}".encode()).hexdigest()

    def decide(self, request: Request) -> Decision:
        if not request.principal.alongside:
            return self._decide(request)
        decisions = [self._decide(replace(request, principal=each)) for each in request.principal.authorities]
        refusals = [decision for decision in decisions if decision.allowed is not True]
        final = [decision for decision in refusals if decision.code != "approval_required"]
        waiting = sorted(refusals, key=lambda decision: decision.approver == "user")  # the strictest approver first
        return (final or waiting or decisions)[0]

    def _decide(self, request: Request) -> Decision:
        return unseen(self.roles, request) or self.authorizer.decide(request)


def unseen(roles: Roles, request: Request) -> Decision | None:
    """The refusal of what asks a server that the caller's role does not show."""
    server = request.resource.partition(":")[0]
    if request.action not in _OF_A_SERVER or roles.shows(request.principal.role, server):
        return None
    return Decision(False, "role", "denied", f"the role of this caller does not show the server `{server}`")
