"""What an agent's libraries ask of Linux is allowed, or refused so that they say it and live on. Real kernels."""

import asyncio

import pytest
import pytest_asyncio

from kernel_gateway.kernels.kernel import Kernel
from kernel_gateway.kernels.settings import KernelSettings
from kernel_gateway.launching import kernel_launcher
from kernel_gateway.settings import Settings
from tests.conftest import EMPTY_MANIFEST, IMAGE, refuse

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKS = {
    "a matplotlib figure": """
import io, matplotlib.pyplot as plt
figure, axes = plt.subplots(); axes.plot([1, 2, 3]); axes.set_title("é")
buffer = io.BytesIO(); figure.savefig(buffer, format="png"); plt.close(figure)
assert buffer.getvalue().startswith(b"\\x89PNG")""",
    "a pandas table to a file and back": """
import pandas as pd
pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_csv("table.csv", index=False)
assert pd.read_csv("table.csv")["a"].sum() == 3
assert pd.read_csv("table.csv", memory_map=True)["b"].tolist() == ["x", "y"]""",
    "linear algebra": """
import numpy as np
matrix = np.random.default_rng(1).random((300, 300))
assert np.allclose(matrix @ np.linalg.inv(matrix), np.eye(300)) and np.linalg.svd(matrix)[1][0] > 0""",
    "numpy arrays in files": """
import numpy as np
np.save("array.npy", np.arange(10)); np.savez_compressed("arrays.npz", a=np.arange(10))
assert np.load("array.npy", mmap_mode="r+").sum() == np.load("arrays.npz")["a"].sum() == 45""",
    "a Pillow picture": """
from PIL import Image
Image.new("RGB", (300, 200), "red").resize((30, 20)).save("picture.jpg", quality=80)
assert Image.open("picture.jpg").size == (30, 20)""",
    "threads with locks, queues and timers": """
import queue, threading
results, barrier = queue.Queue(), threading.Barrier(8)
threads = [threading.Thread(target=lambda n=n: (barrier.wait(), results.put(n))) for n in range(8)]
[each.start() for each in threads]; [each.join() for each in threads]
fired = threading.Event(); threading.Timer(0.01, fired.set).start(); assert fired.wait(10)
assert sorted(results.queue) == list(range(8))""",
    "a pool of threads": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool: assert sum(pool.map(lambda n: n * n, range(10))) == 285""",
    "asyncio in the cell": """
import asyncio
await asyncio.sleep(0.01)
assert await asyncio.to_thread(sum, [1, 2]) == 3
assert await asyncio.get_running_loop().run_in_executor(None, len, "ab") == 2
async with asyncio.timeout(5): assert await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)) == [1, 2]""",
    "an event loop of its own": """
import asyncio, threading
ran = []
thread = threading.Thread(target=lambda: ran.append(asyncio.run(asyncio.sleep(0.01, "done"))))
thread.start(); thread.join(); assert ran == ["done"]""",
    "waiting": "import time, select\ntime.sleep(0.01); select.select([], [], [], 0.01)",
    "temporary files": """
import tempfile, os
with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile(dir=folder) as file:
    file.write(b"x"); file.flush(); assert os.path.getsize(file.name) == 1
with tempfile.TemporaryFile() as file: file.write(b"x")
with tempfile.SpooledTemporaryFile(max_size=1) as file: file.write(b"xyz")""",
    "archives": """
import tarfile, zipfile, os
open("in.txt", "w").write("text")
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive: archive.write("in.txt")
zipfile.ZipFile("a.zip").extractall("out")
with tarfile.open("a.tar.gz", "w:gz") as archive: archive.add("in.txt")
tarfile.open("a.tar.gz").extractall("out2", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
assert open("out/in.txt").read() == open("out2/in.txt").read() == "text\"""",
    "SQLite with its locks, journal and memory map": """
import sqlite3
for mode in ("delete", "wal"):
    base = sqlite3.connect("base.db"); base.execute(f"pragma journal_mode={mode}")
    base.execute("pragma mmap_size=1048576")
    base.execute("create table if not exists t (n)"); base.execute("insert into t values (1)"); base.commit()
    assert base.execute("select count(*) from t").fetchone()[0] > 0; base.close()""",
    "copies, moves and trees": """
import os, pathlib, shutil
pathlib.Path("tree/deep").mkdir(parents=True); pathlib.Path("tree/deep/file").write_text("x")
shutil.copy("tree/deep/file", "copy"); shutil.copy2("tree/deep/file", "copy2"); shutil.copytree("tree", "twin")
shutil.move("copy", "/tmp/copy"); os.chmod("copy2", 0o600); os.utime("copy2", (1, 1)); os.symlink("copy2", "link")
assert os.path.realpath("link").endswith("copy2")
assert [name for *_, names in os.walk("twin") for name in names] == ["file"]; shutil.rmtree("twin")""",
    "memory maps": """
import mmap
with mmap.mmap(-1, 8192) as memory: memory[:2] = b"ab"; memory.madvise(mmap.MADV_DONTNEED)
with open("mapped", "wb+") as file:
    file.truncate(8192)
    with mmap.mmap(file.fileno(), 0) as memory: memory[0] = 1; memory.flush()""",
    "locks on files": """
import fcntl
with open("locked", "w") as file: fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)""",
    "its locale": """
import locale
assert locale.setlocale(locale.LC_ALL, "C") == "C" and locale.getpreferredencoding() == "utf-8\"""",
    "time zones": """
import datetime, zoneinfo
assert datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).utcoffset().seconds == 7200""",
    "faulthandler": """
import faulthandler
with open("dump", "w") as file:
    faulthandler.enable(file); faulthandler.dump_traceback(file); faulthandler.dump_traceback_later(60, file=file)
    faulthandler.cancel_dump_traceback_later(); faulthandler.disable()
assert "Thread" in open("dump").read()""",
    "signals to itself": """
import signal, threading
got = []
before = signal.signal(signal.SIGUSR1, lambda *_: got.append(1))
signal.raise_signal(signal.SIGUSR1); signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
import os; os.kill(os.getpid(), signal.SIGUSR1); assert len(got) == 3
signal.signal(signal.SIGUSR1, before)""",
    "an alarm": """
import signal
rung = []
before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1)); signal.setitimer(signal.ITIMER_REAL, 0.01)
while not rung: signal.sigtimedwait([], 0.01)
signal.signal(signal.SIGALRM, before)""",
    "callbacks of ctypes": """
import ctypes
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 3)(3, 1, 2)
ctypes.CDLL(None).qsort(numbers, 3, 4, compare(lambda a, b: a[0] - b[0])); assert list(numbers) == [1, 2, 3]""",
    "randomness, hashes and keys": """
import hashlib, os, random, secrets, ssl, uuid
assert os.urandom(8) != secrets.token_bytes(8); uuid.uuid4(); random.random()
hashlib.scrypt(b"a", salt=b"b", n=2, r=8, p=1)
assert ssl.RAND_bytes(8); ssl.create_default_context()""",
    "facts about the machine": """
import os, platform, resource, getpass, pwd
platform.platform(); os.cpu_count(); os.sched_getaffinity(0); os.getloadavg; resource.getrusage(resource.RUSAGE_SELF)
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 256 and pwd.getpwuid(os.getuid()).pw_name == "kernel\"""",
    "a module of its own": """
import importlib, pathlib, sys
pathlib.Path("own_module.py").write_text("answer = 42"); sys.path.insert(0, "."); importlib.invalidate_caches()
import own_module; assert own_module.answer == 42""",
    "shell assignments, timing and history of IPython": """
from IPython import get_ipython
shell = get_ipython()
shell.run_line_magic("timeit", "-n1 -r1 -q pass"); shell.run_line_magic("cd", "-q /tmp")
shell.run_line_magic("cd", "-q ~")
shell.run_cell_magic("writefile", "written.txt", "text"); shell.run_line_magic("pwd", "")""",
}

REFUSED = {
    "a process": ("import os; os.fork()", "PermissionError"),
    "a program": ("import subprocess; subprocess.run(['true'])", "PermissionError"),
    "a program by the shell": ("import os; assert os.system('true') == 0", "AssertionError"),
    "a program in its place": ("import os; os.execv('/usr/bin/python3', ['python3'])", "PermissionError"),
    "multiprocessing": ("import multiprocessing as m; m.Process(target=print).start()", "PermissionError"),
    "a pool of processes": (
        "from concurrent.futures import ProcessPoolExecutor as P\nwith P(1) as pool: pool.submit(len, 'a').result()",
        "PermissionError",
    ),
    "a page of the web": ("import urllib.request as r; r.urlopen('http://example.com', timeout=5)", "URLError"),
    "an address of the web": ("import urllib.request as r; r.urlopen('http://192.0.2.1', timeout=5)", "URLError"),
    "a connection by asyncio": ("import asyncio; await asyncio.open_connection('192.0.2.1', 80)", "OSError"),
    "a server": ("import http.server as h; h.HTTPServer(('127.0.0.1', 0), None)", "OSError"),
    "a named pipe": ("import os; os.mkfifo('pipe')", "PermissionError"),
    "another owner": ("import os; os.chown('.', 0, 0)", "PermissionError"),
    "a signal to another process": ("import os; os.kill(os.getpid() + 1, 0)", "PermissionError"),
    "a signal to its group": ("import os; os.killpg(0, 0)", "PermissionError"),
    "more than its limits": ("import resource as r; r.setrlimit(r.RLIMIT_CORE, (0, 0))", "ValueError"),
    "memory without a file": ("import os; os.memfd_create('x')", "PermissionError"),
    "a real-time priority": ("import os; os.sched_setscheduler(0, 1, os.sched_param(1))", "PermissionError"),
    "another owner of a file's signals": ("import fcntl, os; fcntl.fcntl(0, fcntl.F_SETOWN, 1)", "PermissionError"),
    "the root folder": ("import os; os.listdir('/')", "PermissionError"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["forkserver", "bwrap"])
async def outcome(request):
    """`await outcome(code)` -> None, or the name and text of the error that the cell ended with. One kernel for all."""
    settings = Settings.of({"sandbox": {"image": str(IMAGE)}, "kernels": {"launcher": request.param}})
    launcher = kernel_launcher(settings)
    kernel = await Kernel.start(launcher, KernelSettings())
    await kernel.claim(EMPTY_MANIFEST, refuse, 1)

    async def run(code):
        ended = await kernel.run(code, 60, asyncio.get_running_loop().create_future())
        assert not ended.cause, ended.cause
        return ended.outputs.error[:2] if ended.outputs.error else None

    yield run
    await kernel.stop()
    await launcher.close()


@pytest.mark.parametrize("what", WORKS)
async def test_it_works_in_the_sandbox(outcome, what):
    assert await outcome(WORKS[what]) is None


@pytest.mark.parametrize("what", REFUSED)
async def test_it_is_refused_by_an_error_that_python_knows(outcome, what):
    code, error = REFUSED[what]
    assert (await outcome(code))[0] == error
    assert await outcome("assert 1 + 1 == 2") is None, "the kernel lives on"
