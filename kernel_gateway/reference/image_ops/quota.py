"""What an organisation may use: fixed windows for requests, bytes and images, and a count of jobs at once.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10; the problem type is IANA's quota-exceeded.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kernel_gateway.reference.image_ops.settings import ImageOpsSettings
from kernel_gateway.reference.image_ops.state import State
from kernel_gateway.reference.problems import Problem

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"


@dataclass(frozen=True, slots=True)
class Policy:
    """`window_seconds` is None for a limit on what exists at once."""

    name: str
    unit: str
    limit: int
    window_seconds: int | None

    def header(self) -> str:
        window = f";w={self.window_seconds}" if self.window_seconds else ""
        unit = "" if self.unit == "requests" else f';qu="{self.unit}"'
        return f'"{self.name}";q={self.limit}{window}{unit}'


class Quota:
    def __init__(self, state: State, settings: ImageOpsSettings, clock: Callable[[], float]) -> None:
        self._state, self._clock = state, clock
        self.policies = (
            Policy("requests", "requests", settings.requests_per_minute, 60),
            Policy("bytes", "content-bytes", settings.bytes_per_day, 86400),
            Policy("images", "images", settings.images_per_day, 86400),
            Policy("jobs", "concurrent-requests", settings.concurrent_jobs, None),
        )

    def charge(self, organisation: str, **amounts: int) -> None:
        """Takes all of it or nothing. Raises Problem 429 that names the policies and when to come back."""
        with self._state.transaction():
            over = [p for p in self.policies if amounts.get(p.name, 0) > self._remaining(organisation, p)]
            if over:
                raise self._exceeded(over)
            for policy in self.policies:
                if policy.window_seconds and amounts.get(policy.name):
                    self._state.run(
                        "insert into used values (?, ?, ?, ?)"
                        " on conflict (organisation, policy, window) do update set amount = amount + excluded.amount",
                        *(organisation, policy.name, self._window(policy.window_seconds), amounts[policy.name]),
                    )

    def report(self, organisation: str) -> list[dict[str, Any]]:
        return [
            {
                "name": policy.name,
                "unit": policy.unit,
                "limit": policy.limit,
                "remaining": self._remaining(organisation, policy),
                "window_seconds": policy.window_seconds,
                "resets_at": self._resets_at(policy.window_seconds) if policy.window_seconds else None,
            }
            for policy in self.policies
        ]

    def headers(self, organisation: str | None) -> dict[str, str]:
        """For every answer; without an organisation (not authenticated) only the policies."""
        headers = {"RateLimit-Policy": ", ".join(policy.header() for policy in self.policies)}
        if organisation is not None:
            headers["RateLimit"] = ", ".join(
                f'"{policy.name}";r={self._remaining(organisation, policy)}'
                + (f";t={self._wait(policy.window_seconds)}" if policy.window_seconds else "")
                for policy in self.policies
            )
        return headers

    def forget_old(self) -> None:
        for policy in self.policies:
            if policy.window_seconds:
                window = self._window(policy.window_seconds)
                self._state.run("delete from used where policy = ? and window < ?", policy.name, window)

    def _remaining(self, organisation: str, policy: Policy) -> int:
        if policy.window_seconds is None:
            statement = "select count(*) from jobs where organisation = ? and status in ('queued', 'processing')"
            rows = self._state.rows(statement, organisation)
        else:
            rows = self._state.rows(
                "select amount from used where organisation = ? and policy = ? and window = ?",
                *(organisation, policy.name, self._window(policy.window_seconds)),
            )
        return max(0, policy.limit - int(rows[0][0] if rows else 0))

    def _window(self, seconds: int) -> int:
        return int(self._clock() // seconds) * seconds

    def _wait(self, seconds: int) -> int:
        return max(1, math.ceil(self._window(seconds) + seconds - self._clock()))

    def _resets_at(self, seconds: int) -> str:
        return datetime.fromtimestamp(self._window(seconds) + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _exceeded(self, over: list[Policy]) -> Problem:
        # A job ends within seconds: come back soon. A window has its own end.
        wait = max(self._wait(policy.window_seconds) if policy.window_seconds else 1 for policy in over)
        names = [policy.name for policy in over]
        return Problem(
            429,
            "limited",
            "A quota is used up",
            detail=f"quota {', '.join(names)}; retry after {wait} s",
            kind=QUOTA_EXCEEDED,
            violated=names,
            headers={"Retry-After": str(wait)},
        )
