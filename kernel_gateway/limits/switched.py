"""The kill switch in front of an authorizer: one place, so that neither door can forget it."""

import hashlib
from dataclasses import replace

from kernel_gateway.limits.switch import Refusing, Switch
from kernel_gateway.policy.request import Authorizer, Decision, Request

# What remains while everything is off: to see, to end, and to switch on again. Any other action stops.
STILL_ALLOWED = frozenset(("read", "interrupt", "delete", "admin"))
RULE = "kill_switch"  # the baseline's, which says the same to whoever decides elsewhere
_OF_A_SERVER = frozenset(("call", "blob_read", "blob_write"))  # their resource is an operation's id or a server's name


class Switched:
    """Refuses as `disabled` what is off, whatever `authorizer` would say; asks it about the rest.

    Whether something of a request is off is a fact of its context, here alone: no door has to think of it.
    """

    def __init__(self, authorizer: Authorizer, switch: Switch) -> None:
        self._authorizer, self._switch = authorizer, switch

    @property
    def digest(self) -> str:
        """Also of the switch: what was approved before it was set is void."""
        return hashlib.sha256(f"{self._authorizer.digest} {self._switch.epoch}".encode()).hexdigest()

    def decide(self, request: Request) -> Decision:
        reason = refusal(self._switch, request)
        if not reason:
            return self._authorizer.decide(request)
        if request.action not in STILL_ALLOWED:
            return Decision(False, RULE, "disabled", reason)
        return self._authorizer.decide(replace(request, context=replace(request.context, kill_switch=True)))


def refusal(switch: Refusing, request: Request) -> str:
    """Why something that the request names is off; "" where nothing of it is."""
    resource = request.resource if request.action in _OF_A_SERVER else ""
    server, is_operation, _ = resource.partition(":")
    return switch.refuses(
        server=server,
        operation=resource if is_operation else "",
        role=request.principal.role,
        front_end=request.principal.front_end,
    )
