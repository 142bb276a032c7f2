"""Callers of two organisations, and a clock that a test moves."""

import pytest

from kernel_gateway.auth.principal import Principal


def caller(subject="ada", client="agent", organisation="acme", issuer="https://issuer.test", **more):
    values = {"role": "dev", "scopes": frozenset({"kernel.execute"}), "expires_at": 2e9} | more
    return Principal(issuer, organisation, subject, client, **values)


@pytest.fixture
def clock():
    return Clock(20_000 * 86_400 + 43_200.0)  # in the middle of a day


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now
