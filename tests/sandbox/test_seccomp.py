"""The system call filters, run by a small interpreter of classic BPF: every call of both processors, and arguments."""

import errno
import os
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_ext import confine
from kernel_gateway.sandbox.profiles import FILTERED, KERNEL, NUMBERS, SELF, TEMPLATE
from kernel_gateway.sandbox.seccomp import compile_filter

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PROFILES = {"kernel": KERNEL, "template": TEMPLATE, "filtered": FILTERED}
ALLOW, KILL = 0x7FFF0000, 0x80000000
PROGRAMS = {(name, machine): compile_filter(PROFILES[name], machine) for name in PROFILES for machine in ARCHITECTURES}
HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), {}),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"), {"fstatat": "newfstatat"}),
}

each_program = pytest.mark.parametrize(("name", "machine"), PROGRAMS)
words = st.integers(0, 2**64 - 1)
six_arguments = st.tuples(*[words | st.integers(0, 64)] * 6)


def verdict(name, machine, number, arguments=(), architecture=None):
    """What Linux would do: the value that the program returns."""
    data = struct.pack("=IIQ6Q", number, architecture or ARCHITECTURES[machine], 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    program = list(struct.iter_unpack("=HBBI", PROGRAMS[name, machine]))
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = program[at]
        at += 1
        match code:
            case 0x06:
                return value
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:
                accumulator &= value
            case 0x05:
                at += value
            case 0x15 | 0x35:
                met = accumulator == value if code == 0x15 else accumulator >= value
                at += if_true if met else if_false
            case _:
                raise AssertionError(f"an instruction that no filter here uses: {code:#x}")


def refused(number):
    return 0x00050000 | number


def promised(profile, call, arguments):
    """What the data says, read without the compiler."""
    if call not in profile.rules:
        return refused(profile.answers.get(call, errno.EPERM))
    rule = profile.rules[call]
    for test in rule.require:
        value = arguments[test.argument]
        if (value if test.wide else value & test.mask) not in test.one_of:
            return refused(rule.otherwise)
    return ALLOW


def call(name, machine="x86_64", profile="kernel", **arguments):
    """The verdict on a call by its name; `a0` is its first argument."""
    return verdict(profile, machine, NUMBERS[machine][name], [arguments.get(f"a{n}", 0) for n in range(6)])


@each_program
def test_every_number_is_judged_as_the_data_says(name, machine):
    names = {number: each for each, number in NUMBERS[machine].items()}
    for number in range(1024):
        if number in names:
            expected = promised(PROFILES[name], names[number], [0] * 6)
        else:
            expected = refused(errno.EPERM if number <= 450 else errno.ENOSYS)
        assert verdict(name, machine, number) == expected, names.get(number, number)


@each_program
@given(data=st.data(), arguments=six_arguments)
def test_every_argument_is_judged_as_the_data_says(name, machine, data, arguments):
    profile = PROFILES[name]
    judged = sorted(each for each, rule in profile.rules.items() if rule.require and each in NUMBERS[machine])
    which = data.draw(st.sampled_from(judged))
    arguments = list(arguments)
    for test in profile.rules[which].require:  # half of the time something that is allowed
        if data.draw(st.booleans()):
            arguments[test.argument] = data.draw(st.sampled_from(test.one_of))
    assert verdict(name, machine, NUMBERS[machine][which], arguments) == promised(profile, which, arguments)


@each_program
def test_a_program_is_short_enough_for_linux_and_every_jump_stays_inside(name, machine):
    program = list(struct.iter_unpack("=HBBI", PROGRAMS[name, machine]))
    assert 100 < len(program) < 1024  # Linux takes 4096
    for at, (code, if_true, if_false, value) in enumerate(program, 1):
        farthest = {0x05: value, 0x15: max(if_true, if_false), 0x35: max(if_true, if_false)}.get(code, 0)
        assert at + farthest < len(program) or (code == 0x06 and at == len(program))


@each_program
def test_another_architectures_calls_and_the_x32_ones_are_no_way_round(name, machine):
    assert verdict(name, machine, 1, architecture=0x40000003) == KILL
    assert verdict(name, machine, 0x40000000 | 1) == refused(errno.ENOSYS)


@pytest.mark.parametrize("profile", ["kernel", "filtered"])
@pytest.mark.parametrize("machine", ARCHITECTURES)
@given(flags=words)
def test_clone_makes_threads_and_no_processes_or_namespaces(machine, profile, flags):
    if call("clone", machine, profile, a0=flags) == ALLOW:
        assert flags & 0x10100 == 0x10100  # CLONE_VM, CLONE_THREAD
        assert not flags & 0x7E020000  # CLONE_NEW*
    assert call("clone", machine, profile, a0=0x3D0F00) == ALLOW  # what pthread_create asks for
    assert call("clone", machine, profile, a0=0x11) == refused(errno.EPERM)  # fork
    assert call("clone3", machine, profile) == refused(errno.ENOSYS)


DANGEROUS = """
fork vfork execve execveat ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_open pidfd_getfd
pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo socket bind connect listen memfd_create memfd_secret shmget
msgget semget mq_open unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick
mount_setattr name_to_handle_at open_by_handle_at userfaultfd perf_event_open bpf keyctl add_key request_key
io_uring_setup io_uring_enter io_uring_register io_setup personality modify_ldt iopl ioperm init_module finit_module
delete_module kexec_load kexec_file_load reboot swapon swapoff acct syslog quotactl capset setuid setgid setresuid
setresgid setgroups setrlimit setpriority clock_settime settimeofday adjtimex mknod mknodat chown fchown fchownat
inotify_init1 fanotify_init splice tee vmsplice mlock mlockall mbind move_pages seccomp landlock_restrict_self
sethostname setdomainname vhangup sync mincore timer_create setsid setpgid migrate_pages sendmsg sendmmsg recvmsg
recvmmsg"""


@pytest.mark.parametrize("profile", ["kernel", "filtered"])
@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_could_undo_the_sandbox_is_on_no_list(machine, profile):
    numbers = numbers_of(machine)
    dangerous = [each for each in DANGEROUS.split() if each in numbers]
    assert len(dangerous) > 90
    for each in dangerous:
        answer = verdict(profile, machine, numbers[each])
        assert answer in (refused(errno.EPERM), refused(errno.ENOSYS), refused(errno.ENETUNREACH)), each


def numbers_of(machine):
    """{call: number} as the headers of this machine have them."""
    path, renamed = HEADERS[machine]
    if not path.exists():
        pytest.skip(reason=f"no {path} here; it comes with linux-libc-dev")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", path.read_text(), re.MULTILINE)
    return {renamed.get(each, each): int(number) for each, number in found}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_numbers_are_those_of_linux(machine):
    there = numbers_of(machine)
    assert {each: there.get(each) for each in NUMBERS[machine]} == NUMBERS[machine]
    absent = NUMBERS["x86_64"].keys() - NUMBERS[machine].keys()
    assert absent & there.keys() == set(), "aarch64 has it too"


@pytest.mark.parametrize("name", PROFILES)
def test_every_call_that_a_profile_names_has_a_number(name):
    named = PROFILES[name].rules.keys() | PROFILES[name].answers.keys()
    assert named - NUMBERS["x86_64"].keys() == set()
    assert NUMBERS["x86_64"].keys() - {each for profile in PROFILES.values() for each in named_by(profile)} == set()


def named_by(profile):
    return profile.rules.keys() | profile.answers.keys()


def test_a_signal_goes_to_the_process_that_took_the_filter_and_to_no_other():
    assert SELF == confine.SELF
    for each in ("kill", "tgkill"):
        assert call(each, a0=SELF, a1=9) == ALLOW
        for other in (0, 1, 0xFFFFFFFF, 2**32 - SELF, 4242):
            assert call(each, a0=other, a1=9) == refused(errno.EPERM)
    assert PROGRAMS["kernel", "x86_64"].count(struct.pack("=I", SELF)) == 2


@given(family=words, kind=words, protocol=words)
def test_socketpair_is_the_stream_that_asyncio_needs_and_no_other(family, kind, protocol):
    if call("socketpair", a0=family, a1=kind, a2=protocol) == ALLOW:
        assert (family & 0xFFFFFFFF, protocol & 0xFFFFFFFF) == (1, 0)
        assert kind & 0xFFFFFFFF in (1, 0x801, 0x80001, 0x80801)
    assert call("socketpair", a0=1, a1=0x80801) == ALLOW
    assert call("socketpair", a0=1, a1=0x80802) == refused(errno.EPERM)  # datagrams could be sent to others by name


def test_limits_can_be_read_but_not_set_even_where_only_the_upper_half_of_the_pointer_is_not_zero():
    assert call("prlimit64", a3=0x7FFF00000000) == ALLOW
    assert call("prlimit64", a2=1) == call("prlimit64", a2=1 << 40) == refused(errno.EPERM)
    assert call("prlimit64", a0=1) == refused(errno.EPERM)


def test_without_namespaces_no_mode_or_time_of_a_file_can_be_changed_and_no_process_asked_about():
    for each in ("chmod", "fchmod", "fchmodat", "utimensat"):
        assert (call(each), call(each, profile="filtered")) == (ALLOW, refused(errno.EPERM))
    for each in ("getpgid", "getsid", "sched_getaffinity"):
        assert call(each, profile="filtered", a0=1) == refused(errno.EPERM)
        assert call(each, profile="filtered") == ALLOW


def test_without_namespaces_no_file_is_emptied_by_its_name_or_as_if_it_were_read():
    """Before its version 3 Landlock does not see the first, and takes the second for reading."""
    assert (call("truncate"), call("truncate", profile="filtered")) == (ALLOW, refused(errno.EPERM))
    reading, writing, emptying = os.O_RDONLY | os.O_CLOEXEC, os.O_WRONLY | os.O_CREAT, os.O_TRUNC
    for each, place in (("open", "a1"), ("openat", "a2")):
        for flags in (reading, writing, os.O_RDWR, writing | emptying, os.O_RDWR | emptying):
            assert call(each, profile="filtered", **{place: flags}) == ALLOW
        for flags in (reading | emptying, os.O_ACCMODE | emptying):
            assert call(each, profile="filtered", **{place: flags}) == refused(errno.EPERM)


def test_a_template_may_do_all_that_a_kernel_may_or_its_children_could_not():
    for each, rule in KERNEL.rules.items():
        assert each in TEMPLATE.rules
        ours = TEMPLATE.rules[each].require
        for test in ours:
            same = next(each for each in rule.require if each.argument == test.argument)
            assert set(same.one_of) <= set(test.one_of)


def test_a_processor_whose_calls_are_not_known_gets_no_filter_and_no_kernel():
    with pytest.raises(KeyError):
        compile_filter(KERNEL, "riscv64")
