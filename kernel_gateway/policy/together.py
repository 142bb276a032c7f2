"""Asks for everyone whose authority a request needs, and about the server each one's role must show. Pure."""

from dataclasses import dataclass, replace

from kernel_gateway.policy.request import Authorizer, Decision, Request
from kernel_gateway.policy.roles import Roles

_OF_A_SERVER = frozenset(("call", "blob", "blob_read", "blob_write"))  # their resource begins with the server's name


@dataclass(frozen=True, slots=True)
class Together:
    """Whoever works in another's session needs both authorities: what one of them may not do is not done.

    Only where nothing else stands against it does it wait for an approval.
    """

    authorizer: Authorizer
    roles: Roles

    def decide(self, request: Request) -> Decision:
        if not request.principal.alongside:
            return self._decide(request)
        decisions = [self._decide(replace(request, principal=each)) for each in request.principal.authorities]
        refusals = [decision for decision in decisions if decision.allowed is not True]
        final = [decision for decision in refusals if decision.code != "approval_required"]
        return (final or refusals or decisions)[0]

    def _decide(self, request: Request) -> Decision:
        server = request.resource.partition(":")[0]
        if request.action in _OF_A_SERVER and not self.roles.shows(request.principal.role, server):
            return Decision(False, "role", "denied", "the role of this caller does not show that server")
        return self.authorizer.decide(request)
