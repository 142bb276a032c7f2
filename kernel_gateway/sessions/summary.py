"""A session as its owner and the operator are told of it."""

from typing import Any

from kernel_gateway.sessions.session import Session


def summary(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "state": session.state,
        "cells": session.cells,
        "committed": session.saving.committed if session.saving else 0,
        "calls": session.account.calls,
        "opened_at": session.opened_at,
        "used_at": session.used_at,
        **({"parent": session.life.parent, "parent_cell": session.life.parent_cell} if session.life.parent else {}),
    }
