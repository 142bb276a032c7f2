"""The system call filter, run by a small interpreter of classic BPF: what is refused, and nothing else."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.sandbox.seccomp import REFUSED, compile_filter

MACHINES = {"x86_64": (0xC000003E, 56, 0), "aarch64": (0xC00000B7, 220, 1)}
ALLOW, KILL = 0x7FFF0000, 0x80000000
PROGRAMS = {machine: compile_filter(machine) for machine in MACHINES}


def verdict(machine, number, argument=0, architecture=None):
    data = struct.pack("=IIQQ", number, architecture or MACHINES[machine][0], 0, argument)
    program = list(struct.iter_unpack("=HBBI", PROGRAMS[machine]))
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        else:
            met = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += if_true if met else if_false


def refused(number):
    return 0x00050000 | number


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", REFUSED)
def test_each_listed_call_is_refused(machine, name):
    number = REFUSED[name][MACHINES[machine][2]]
    if number is not None:
        assert verdict(machine, number) == refused(errno.EPERM)


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.integers(0, 460))
def test_whatever_is_not_listed_is_allowed(machine, number):
    _, clone, column = MACHINES[machine]
    if number not in {numbers[column] for numbers in REFUSED.values()} | {clone, 435}:
        assert verdict(machine, number) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_clone_makes_threads_and_no_processes(machine):
    clone = MACHINES[machine][1]
    assert verdict(machine, clone, 0x3D0F00) == ALLOW  # what pthread_create asks for
    assert verdict(machine, clone, 0x11) == refused(errno.EPERM)  # fork
    assert verdict(machine, 435) == refused(errno.ENOSYS)  # clone3, so that libc asks with clone


def test_another_architectures_calls_and_the_x32_ones_are_no_way_round():
    assert verdict("x86_64", 1, architecture=0x40000003) == KILL
    assert verdict("x86_64", 0x40000000 | 101) == refused(errno.ENOSYS)


def test_a_processor_whose_calls_are_not_known_gets_no_filter_and_no_kernel():
    with pytest.raises(KeyError):
        compile_filter("riscv64")
