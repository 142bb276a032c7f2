"""The INNER DOOR: running code wants an operation, or the bytes behind a handle."""

from kernel_gateway.broker.broker import Broker
from kernel_gateway.broker.cell import Account, CallRecord, Cell

__all__ = ["Account", "Broker", "CallRecord", "Cell"]
