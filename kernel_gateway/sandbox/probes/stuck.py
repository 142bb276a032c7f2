"""Attacks by not ending: a deadline holds for a cell that no interrupt stops, and a death is one kernel's own."""

from kernel_gateway.sandbox.probes.probe import Probe, of_family

_ITS_OWN_KERNEL = "the death of its own kernel is all there is to get; checked is that the session goes on without it"
_STUCK_SECONDS = 0.5
_TRACED = """
import time
def slowly(frame, event, argument):
    time.sleep({pause})
    return slowly
def work():
    for _ in range(6):
        str()
        int()
sys.settrace(slowly)
work()
sys.settrace(None)
print("alive")
"""


def _deadly(name: str, body: str) -> Probe:
    return Probe(name, body, ("gateway",), ends=("lost",), within_seconds=2.0, why_no_control=_ITS_OWN_KERNEL)


def _stuck(name: str, body: str, control: str = "") -> Probe:
    return Probe(name, body, ("gateway",), ends=("stopped",), seconds=_STUCK_SECONDS, control=control)


STUCK = of_family(
    "Python and Jupyter",
    _deadly(
        "take the session along when it exits",
        "os._exit(3)",
    ),
    _deadly(
        "take the session along when it crashes",
        "ctypes.string_at(0)",
    ),
    _stuck(
        "hold its interpreter so that no interrupt is heard",
        'ctypes.PyDLL(None).sleep(6)\nprint("alive")',
    ),
    _stuck(
        "ignore the interrupt signal",
        """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
time.sleep(6)
print("alive")
""",
    ),
    _stuck(
        "swallow every interrupt",
        """
import time
end = time.monotonic() + 6
while time.monotonic() < end:
    try:
        time.sleep(0.1)
    except BaseException:
        pass
print("alive")
""",
    ),
    _stuck(
        "unlearn how it is interrupted",
        """
import time
get_ipython().kernel.control_handlers.clear()
time.sleep(6)
print("alive")
""",
    ),
    _stuck(
        "wait for a thread that is stuck",
        """
import threading, time
stuck = threading.Thread(target=time.sleep, args=(6,))
stuck.start()
stuck.join()
print("alive")
""",
    ),
    _stuck(
        "trace its own interpreter to a standstill",
        _TRACED.format(pause=0.2),
        control=_TRACED.format(pause=0.01),
    ),
    _stuck(
        "never answer",
        "kernel = get_ipython().kernel\nkernel.session.send = lambda *_, **__: None",
        control="kernel = get_ipython().kernel\nkernel.session.send = kernel.session.send\nprint('alive')",
    ),
)
