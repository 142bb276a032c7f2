"""What a refused client needs to pace itself (draft-ietf-httpapi-ratelimit-headers: structured fields of RFC 9651)."""

import math

from kernel_gateway.limits.exceeded import ExceededError

_MAX_INTEGER = 999_999_999_999_999  # of a structured field


def pace(error: ExceededError) -> dict[str, str]:
    """`RateLimit-Policy` says what is allowed (q) in a window of so many seconds (w); `RateLimit` what is left (r) and
    after how many seconds there is more (t)."""
    window = f";w={error.window_seconds}" if error.window_seconds else ""
    reset = f";t={math.ceil(error.retry_after)}" if error.retry_after is not None else ""
    return {
        "RateLimit-Policy": f'"{error.policy}";q={min(error.quota, _MAX_INTEGER)}{window}',
        "RateLimit": f'"{error.policy}";r=0{reset}',
    }
