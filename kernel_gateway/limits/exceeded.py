"""The refusal of more than a limit allows, with what a client needs to pace itself."""

from kernel_gateway.errors import GatewayError


class ExceededError(GatewayError):
    """`limited`. `policy` names the limit: letters, digits, dashes. `window_seconds` is 0 where it does not come back.

    `quota` is how much the policy allows, in one window where it has one.
    """

    def __init__(
        self, message: str, *, policy: str, quota: int, window_seconds: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__("limited", message, retry_after=retry_after, rule=policy)
        self.policy, self.quota, self.window_seconds = policy, quota, window_seconds
