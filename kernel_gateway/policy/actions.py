"""What the doors ask for, as the schema's actions. A test holds this table to the schema."""

from collections.abc import Mapping

CALL = "call"  # becomes the operation's effect

DOORS: Mapping[str, str] = {
    "admin": "admin",
    "search": "search",
    "execute": "execute",
    "create": "session_create",
    "attach": "session_attach",
    "read": "session_read",
    "interrupt": "session_interrupt",
    "delete": "session_delete",
    "approve": "approve",
}
BLOBS = frozenset(("blob_read", "blob_write"))
ACTIONS = frozenset((CALL, *DOORS, *BLOBS))

GROUPS: Mapping[str, frozenset[str]] = {
    "read": frozenset(("operate", "in_cell", "use")),
    "write": frozenset(("operate", "change", "in_cell", "use")),
    "delete": frozenset(("operate", "change", "in_cell", "use")),
    "blob_read": frozenset(("in_cell", "use")),
    "blob_write": frozenset(("in_cell", "change", "use")),
    "admin": frozenset(),
    "search": frozenset(("use",)),
    "execute": frozenset(("use",)),
    "session_create": frozenset(("use",)),
    "session_attach": frozenset(("use",)),
    "session_read": frozenset(),
    "session_interrupt": frozenset(),
    "session_delete": frozenset(),
    "approve": frozenset(),
}
