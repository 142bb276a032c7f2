"""The static reading of a cell, before it runs: what it can call, how often, at what risk, in plain words. Pure.

It warns and explains. Python can hide anything from a reader, so the boundary is elsewhere: the sandbox, and the plan,
which the broker holds every call against.
"""

from kernel_gateway.policy.review.finding import Definition, Review, Violation, remember
from kernel_gateway.policy.review.quoting import escaped
from kernel_gateway.policy.review.reading import review
from kernel_gateway.policy.review.source import is_small

__all__ = ["Definition", "Review", "Violation", "escaped", "is_small", "remember", "review"]
