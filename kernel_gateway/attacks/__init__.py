"""Every named attack for real: what is laid out for it on the host, the session it runs in, and the verdict."""

from kernel_gateway.attacks.ground import Ground
from kernel_gateway.attacks.verdict import Seen, complaint

__all__ = ["Ground", "Seen", "complaint"]
