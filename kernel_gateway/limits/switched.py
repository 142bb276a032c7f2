"""The kill switch in front of an authorizer: one place, so that neither door can forget it."""

import hashlib

from kernel_gateway.limits.switch import Switch
from kernel_gateway.policy.request import Authorizer, Decision, Request

# What remains while everything is off: to see, to end, and to switch on again. Any other action stops.
STILL_ALLOWED = frozenset(("read", "interrupt", "delete", "admin"))
_OF_A_SERVER = frozenset(("call", "blob_read", "blob_write"))  # their resource is an operation's id or a server's name


class Switched:
    """Refuses as `disabled` what is off, whatever `authorizer` would say; asks it about the rest."""

    def __init__(self, authorizer: Authorizer, switch: Switch) -> None:
        self._authorizer, self._switch = authorizer, switch

    @property
    def digest(self) -> str:
        """Also of the switch: what was approved before it was set is void."""
        return hashlib.sha256(f"{self._authorizer.digest} {self._switch.epoch}".encode()).hexdigest()

    def decide(self, request: Request) -> Decision:
        if request.action not in STILL_ALLOWED:
            resource = request.resource if request.action in _OF_A_SERVER else ""
            server, is_operation, _ = resource.partition(":")
            reason = self._switch.refuses(
                server=server,
                operation=resource if is_operation else "",
                role=request.principal.role,
                front_end=request.principal.front_end,
            )
            if reason:
                return Decision(False, "switch", "disabled", reason)
        return self._authorizer.decide(request)
