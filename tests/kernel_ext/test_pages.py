"""A forked kernel gives back the pages that it left as they were, and nothing that it holds changes by it."""

import json
import subprocess
import sys

import pytest

from kernel_ext.pages import _arenas
from tests.conftest import IMAGE

PACKAGES = IMAGE / "site-packages"

IN_A_CHILD = """
import ctypes, gc, json, mmap, os, random, sys
sys.path.insert(0, sys.argv[1])
import numpy, pandas
from kernel_ext import pages

held = [{"number": number, "text": str(number) * 5, "more": [number]} for number in range(20_000)]
gc.collect()
gc.freeze()
origin = pages.remember()
reading, writing = os.pipe()
before = json.dumps(held)
if os.fork():
    os.close(writing)
    os.waitpid(-1, 0)
    told = json.loads(os.read(reading, 65536))
    print(json.dumps({**told, "parent_unchanged": json.dumps(held) == before}), flush=True)
    os._exit(0)

def own():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))

def give_back():
    return list(origin.give_back())
"""
TELL = "\nos.write(writing, json.dumps(told).encode())\nos._exit(0)\n"


def child(code):
    command = [sys.executable, "-I", "-c", IN_A_CHILD + code + TELL, str(PACKAGES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pages_that_were_only_touched_are_given_back():
    told = child("""
gc.unfreeze()
gc.collect()  # writes to every object, and puts back what was there
touched = own()
give_back()
told = {"touched": touched, "kept": own()}
""")
    assert told["kept"] < told["touched"] / 2
    assert told["parent_unchanged"]


def test_whatever_a_program_does_between_it_finds_again():
    told = child("""
def program(seed, rests):
    chance, here, trail = random.Random(seed), [dict(each) for each in held[:500]], []
    for step in range(400):
        one = chance.choice(here)
        match chance.randrange(6):
            case 0: one["more"] = one["more"] + [step]
            case 1: here.append({"number": step, "text": one["text"], "more": [one["number"]]})
            case 2: here.remove(one)
            case 3: held[chance.randrange(len(held))]["text"] = f"{seed} {step}"
            case 4: trail.append(float(numpy.arange(chance.randrange(1, 5000)).sum()))
            case 5: trail.append(pandas.DataFrame({"a": [step, seed]}).a.mean())
        if rests and step % 20 == 0:
            give_back()
            gc.collect()
    return json.dumps([here, trail, held], default=str)

seeds = range(5)
for each in held:
    each["text"] = ""
told = {"same": [(program(seed, False), program(seed, False) == program(seed, True))[1] for seed in seeds]}
""")
    assert told["same"] == [True] * 5


def test_what_is_mapped_anew_where_remembered_memory_was_stays_as_it_is():
    told = child("""
area = max(origin._areas, key=lambda each: each.length)
libc = ctypes.PyDLL(None)
libc.mmap.restype = ctypes.c_void_p
spare = libc.mmap(None, ctypes.c_ulong(mmap.PAGESIZE), 3, 0x22, -1, ctypes.c_long(0))
starts = range(area.origin, area.origin + area.length, mmap.PAGESIZE)
at, page = next((at, page) for at in starts if any(page := ctypes.string_at(at, mmap.PAGESIZE)))
ctypes.memmove(spare, page, mmap.PAGESIZE)
alike = pages.Area(spare, at, mmap.PAGESIZE)
given = list(pages.Origin(origin._pages, [alike]).give_back())
told = {"given": given, "same": ctypes.string_at(spare, mmap.PAGESIZE) == page}
""")
    assert told == {"given": [1], "same": True, "parent_unchanged": True}


def test_what_is_not_mapped_any_more_is_left_alone():
    told = child("""
libc = ctypes.PyDLL(None)
libc.mmap.restype = ctypes.c_void_p
spare = libc.mmap(None, ctypes.c_ulong(mmap.PAGESIZE), 3, 0x22, -1, ctypes.c_long(0))
libc.munmap(ctypes.c_void_p(spare), ctypes.c_ulong(mmap.PAGESIZE))
gone = pages.Area(spare, origin._areas[0].origin, mmap.PAGESIZE)
told = {"given": list(pages.Origin(origin._pages, [gone]).give_back())}
""")
    assert told["given"] == [-1]


def test_a_kernel_cannot_change_what_its_siblings_go_back_to():
    told = child("""
area = origin._areas[0]
libc = ctypes.PyDLL(None)
writable = libc.mprotect(ctypes.c_void_p(area.origin), ctypes.c_ulong(mmap.PAGESIZE), 3) == 0
if os.fork() == 0:
    ctypes.memset(area.origin, 7, mmap.PAGESIZE)
    os._exit(0)
os.wait()
told = {"writable": writable, "changed": ctypes.string_at(area.origin, 8) == bytes([7] * 8)}
""")
    assert (told["writable"], told["changed"]) == (True, False)  # its own copy alone


@pytest.mark.parametrize(
    "host",
    [
        "os.memfd_create = lambda *_: os.open('/absent', os.O_RDONLY)",  # it allows no such file
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))",  # it has no room for all
    ],
)
def test_a_template_whose_memory_cannot_be_remembered_goes_on_without(host):
    told = child(f"""
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{host}
open_before = len(os.listdir("/proc/self/fd"))
told = {{"origin": pages.remember() is None, "leaked": len(os.listdir("/proc/self/fd")) - open_before}}
told["held"] = [each["number"] for each in held] == list(range(20_000))
""")
    assert told == {"origin": True, "leaked": 0, "held": True, "parent_unchanged": True}


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("7f0000100000-7f0000200000 rw-p 00000000 00:00 0", True),
        ("7f0000100000-7f00001ff000 rw-p 00000000 00:00 0", False),  # smaller than an arena
        ("7f0000000000-7f0000100000 rw-p 00000000 00:00 0", False),  # the C library's, of a thread
        ("7f0000100000-7f0000200000 rw-p 00000000 00:00 0    [heap]", False),
        ("7f0000100000-7f0000200000 r--p 00000000 00:00 0", False),
        ("7f0000100000-7f0000200000 rw-s 00000000 00:01 77   /dev/zero (deleted)", False),
    ],
)
def test_only_what_may_hold_pythons_objects_is_remembered(line, taken):
    described = [line, "Size: 1024 kB"]
    assert bool(list(_arenas([*described, "Rss: 512 kB"]))) is taken
    assert list(_arenas([*described, "Rss: 508 kB"])) == []  # little of it in use
