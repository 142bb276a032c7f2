"""The INNER DOOR: running code wants an operation, or the bytes behind a handle."""

from kernel_gateway.broker.broker import Broker
from kernel_gateway.broker.cell import Account, CallRecord, Cell
from kernel_gateway.broker.recorded import Notes, Recorded

__all__ = ["Account", "Broker", "CallRecord", "Cell", "Notes", "Recorded"]
