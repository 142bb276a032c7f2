"""Attacks on the network: there is none, of any kind, and nothing of the host's can be spoken to."""

from kernel_gateway.sandbox.probes.probe import DENIED, IS_SOCKET, NO_ROUTE, Probe, of_family

_OTHERS = "it would speak to a machine that is not ours; `connect to a port of the host` takes the same way"

NETWORK = of_family(
    "network",
    Probe(
        "connect to a port of the host",
        """
import socket
def attack():
    return socket.create_connection(("127.0.0.1", HOST["port"]), timeout=2)
""",
        ("namespaces", "seccomp"),
        NO_ROUTE,
        is_quick=True,
    ),
    Probe(
        "send a datagram to a port of the host",
        """
import socket
def attack():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"hello", ("127.0.0.1", HOST["datagram_port"]))
""",
        ("namespaces", "seccomp"),
        NO_ROUTE,
    ),
    Probe(
        "ask the cloud's metadata service for a credential",
        """
import http.client
def attack():
    connection = http.client.HTTPConnection("169.254.169.254", timeout=2)
    connection.request("PUT", "/latest/api/token", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    return connection.getresponse().read()
""",
        ("namespaces", "seccomp"),
        NO_ROUTE,
        why_no_control=_OTHERS,
    ),
    Probe(
        "fetch a page of the internet",
        """
import urllib.request
def attack():
    return urllib.request.urlopen("http://1.1.1.1/", timeout=2).read()
""",
        ("namespaces", "seccomp"),
        (*NO_ROUTE, "URLError"),
        why_no_control=_OTHERS,
    ),
    Probe(
        "resolve a name",
        """
import socket
def attack():
    return socket.getaddrinfo("example.com", 443)
""",
        ("namespaces", "seccomp"),
        (*NO_ROUTE, "gaierror"),
        why_no_control="it would ask a name server that is not ours, and many test machines have none",
    ),
    Probe(
        "open a socket of any family",
        """
import socket
def attack():
    def opened(family, kind):
        socket.socket(family, kind).close()
        return family, kind
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
    return any_of(*(lambda f=family, k=kind: opened(f, k) for family in range(1, 46) for kind in kinds))
""",
        ("seccomp",),
        NO_ROUTE,
        is_quick=True,
    ),
    Probe(
        "write packets of its own",
        """
import socket
def attack():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
        return wire.getsockname()
""",
        ("capabilities", "seccomp"),
        NO_ROUTE,
    ),
    Probe(
        "see the host's network interfaces",
        """
import socket
def attack():
    return [name for _, name in socket.if_nameindex() if name != "lo"]
""",
        ("namespaces", "seccomp"),
        (*NO_ROUTE, "nothing"),
    ),
    Probe(
        "ask a socket it may have for the host's addresses",
        """
import fcntl, socket, struct
def attack():
    mine, _ = socket.socketpair()
    room = ctypes.create_string_buffer(40 * 64)
    asked = struct.pack("iP", len(room), ctypes.addressof(room))
    (used, _) = struct.unpack("iP", fcntl.ioctl(mine, 0x8912, asked))
    names = {room.raw[at:at + 16].split(b"\\0")[0] for at in range(0, used, 40)}
    return sorted(names - {b"lo"})
""",
        ("namespaces", "seccomp"),
        (*NO_ROUTE, "nothing", "ENOTTY"),
    ),
    Probe(
        "set up a network interface",
        """
import fcntl, socket, struct
def attack():
    mine, _ = socket.socketpair()
    loopback = fcntl.ioctl(mine, 0x8913, struct.pack("16sH22x", b"lo", 0))
    fcntl.ioctl(mine, 0x8914, loopback)
    return "its flags were set"
""",
        ("capabilities", "seccomp"),
        (*DENIED, "ENOTTY"),
    ),
    Probe(
        "compute inside the host's kernel",
        """
import socket
def attack():
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as algorithms:
        algorithms.bind(("hash", "sha256"))
        operation, _ = algorithms.accept()
        operation.sendall(b"data")
        return operation.recv(32).hex()
""",
        ("seccomp",),
        NO_ROUTE,
        why_no_control="many hosts have no such sockets; `open a socket of any family` takes the same way",
    ),
    Probe(
        "speak to an abstract socket of the host",
        """
import socket
def attack():
    with socket.socket(socket.AF_UNIX) as mine:
        mine.connect(b"\\0" + HOST["abstract"].encode())
        return mine.getpeername()
""",
        ("namespaces", "seccomp"),
        (*NO_ROUTE, "ECONNREFUSED"),
    ),
    Probe(
        "speak to a socket in the host's file system",
        """
import socket
def attack():
    with socket.socket(socket.AF_UNIX) as mine:
        mine.connect(HOST["socket_path"])
        return mine.getpeername()
""",
        ("root", "seccomp"),
        (*NO_ROUTE, "ENOENT"),
    ),
    Probe(
        "send from an unnamed pair to a socket of the host",
        """
import socket
def attack():
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    address = b"\\0" + HOST["abstract_datagrams"].encode()
    return any_of(lambda: one.sendto(b"hello", address), lambda: one.connect(address) or one.send(b"hello"))
""",
        ("namespaces", "seccomp"),
        (*DENIED, "ECONNREFUSED", "EISCONN"),
    ),
    Probe(
        "turn one of its own sockets to another address",
        """
import socket
def attack():
    def turned(fd):
        mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(fd))
        mine.connect(b"\\0" + HOST["abstract"].encode())
        return fd
    sockets = [fd for fd in range(3, 256) if _is_socket(fd)]
    return any_of(*(lambda fd=fd: turned(fd) for fd in sockets))
"""
        + IS_SOCKET,
        ("seccomp",),
        (*DENIED, "EINVAL", "EISCONN"),
        why_no_control="a Unix stream socket connects once and a listening one never: Linux itself refuses it",
    ),
    Probe(
        "learn from a socket's name where the host keeps its files",
        """
import re, socket
def attack():
    names = [socket.socket(fileno=os.dup(fd)).getsockname() for fd in range(3, 256) if _is_socket(fd)]
    return [name for name in names if name and not re.fullmatch(r"/proc/self/fd/[0-9]+/k-[0-9]", name)]
"""
        + IS_SOCKET,
        ("gateway",),
        ("nothing",),
        why_no_control="the name stays what the gateway gave the socket, and it gives no other",
    ),
    Probe(
        "serve a port",
        """
import socket
def attack():
    with socket.create_server(("0.0.0.0", 0)) as door:
        return door.getsockname()
""",
        ("landlock", "seccomp"),
        NO_ROUTE,
    ),
    Probe(
        "connect through the message library it has loaded",
        """
import zmq
def attack():
    with zmq.Context() as context, context.socket(zmq.DEALER) as mine:
        mine.linger = 0
        mine.connect("tcp://127.0.0.1:%d" % HOST["port"])
        mine.send(b"hello")
        return mine.poll(300)
""",
        ("namespaces", "seccomp"),
        (*DENIED, "nothing", "ZMQError"),
        ends=("refused", "lost"),
    ),
)
