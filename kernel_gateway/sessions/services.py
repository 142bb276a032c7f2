"""What every session needs from the rest of the gateway."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from kernel_gateway.audit.events import Event
from kernel_gateway.auth.principal import Principal
from kernel_gateway.broker import Broker, Cell
from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.limits.switch import Refusing
from kernel_gateway.sessions.durable import Durable
from kernel_gateway.sessions.pausing import Pausing
from kernel_gateway.store.vault import Write


class Record(Protocol):
    """`beside` is done in the transaction of the event."""

    def __call__(self, event: Event, beside: Write | None = None, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What every session needs from the rest. `digest(organisation, content)` is keyed per organisation, and
    `take_kernel(organisation)` gives a kernel that shares a template with no other organisation's."""

    take_kernel: Callable[[str], Awaitable[Kernel]]
    manifest: Callable[[Principal], dict[str, object]]
    broker: Broker
    switch: Refusing
    record: Record
    flush: Callable[[], Awaitable[None]]
    digest: Callable[[str, bytes], str]
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    keep_source: Callable[[Cell, str], Write | None]
    pausing: Pausing | None = None  # without it nobody can be asked, and what needs an approval is refused
    durable: Durable | None = None  # without it a session ends with its kernel
