"""Whether a name means this machine alone: the one place that decides where plain HTTP is tolerable."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """True for `localhost`, 127.0.0.0/8 and ::1 (brackets allowed). Names are never resolved: a resolver can lie."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
