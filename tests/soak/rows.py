"""What is left, as rows of the bench: a line a kind, none of which may be more than zero."""

from tests.bench.measurement import Bar, Row
from tests.soak.run import Soak


def rows(done: Soak) -> list[Row]:
    return [Row(f"left over: {kind}", "", (count,), bar=Bar(0, "value")) for kind, count in done.left.items()]
