"""What metrics show that is not an event but a state."""

from kernel_gateway.approvals.queue import Queue
from kernel_gateway.audit.metrics import Metrics
from kernel_gateway.gateway import Gateway
from kernel_gateway.kernels.pool import Pool
from kernel_gateway.limits.switch import Switch
from kernel_gateway.settings import Settings


def measure(metrics: Metrics, gateway: Gateway, pool: Pool, switch: Switch, queue: Queue, settings: Settings) -> None:
    """Read whenever somebody scrapes."""
    metrics.gauge("kg_sessions", "Sessions with a kernel.", lambda: sum(each.seat.is_taken for each in gateway.live()))
    metrics.gauge("kg_sessions_limit", "How many may have one.", lambda: settings.sessions.max_kernels)
    metrics.gauge("kg_sessions_kept", "Open sessions, those that hibernate among them.", lambda: len(gateway.live()))
    metrics.gauge("kg_kernels", "Living kernels.", lambda: sum(len(each.living) for each in pool.sources))
    metrics.gauge(
        "kg_kernels_ready", "Kernels that wait for a session.", lambda: sum(len(each.ready) for each in pool.sources)
    )
    metrics.gauge("kg_switched_off", "What the kill switch holds off.", lambda: len(switch.off))
    metrics.gauge("kg_ready", "1 where `/readyz` says so.", lambda: gateway.ready()[0])
    metrics.gauge("kg_approvals_waiting", "Approvals that nobody has answered.", lambda: len(queue))
