"""The principal of a caller on stdio: what the operator's configuration says, for there is no token to verify."""

from kernel_gateway.auth.principal import Principal
from kernel_gateway.auth.settings import StdioSettings

ISSUER = "urn:kernel-gateway:stdio"
LIFETIME_SECONDS = 24 * 3600.0  # longer than any cell, and finite so that no authority outlives its process by much


def principal_from_settings(settings: StdioSettings, now: float) -> Principal:
    """Minted anew for each request, so a long-lived process does not run into its own expiry."""
    return Principal(
        issuer=ISSUER,
        organisation=settings.organisation,
        subject=settings.subject,
        client=settings.client,
        role=settings.role,
        scopes=frozenset(settings.scopes),
        expires_at=now + LIFETIME_SECONDS,
        front_end="stdio",
    )
