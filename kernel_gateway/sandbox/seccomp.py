"""Compiles a profile of system calls to a classic BPF program, as seccomp takes it. Pure.

The program finds a call by halving the range of numbers, then looks at its arguments where the profile does.
"""

import errno
import platform
import struct

from kernel_gateway.sandbox.profiles import NUMBERS, Profile, Rule, Test

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*
_YOUNGEST = 450  # set_mempolicy_home_node, of Linux 5.17: what has a higher number came after numbers.toml
_X32_BIT = 0x40000000  # x86_64 has its calls a second time from here on; they are beyond the youngest too

_LOAD, _AND, _JUMP, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, ALU|AND, JMP, RET
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_*
_REACH = 255  # of a conditional jump, in instructions

Code = list[tuple[int, int, int, int]]
"""Instructions: what to do, how many to skip if true and if false, and the operand."""


def compile_filter(profile: Profile, machine: str = platform.machine()) -> bytes:
    """An array of struct sock_filter. Raises KeyError for a processor whose system call numbers are not known here."""
    numbers = NUMBERS[machine]
    program: Code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    answers = {numbers[call]: _refuse(error) for call, error in profile.answers.items() if call in numbers}
    rules = {numbers[call]: _judge(rule) for call, rule in profile.rules.items() if call in numbers}
    program += _search(_ranges({**answers, **rules}))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _ranges(codes: dict[int, Code]) -> list[tuple[int, Code]]:
    """Where something else begins to be done, and what. Each range ends where the next one begins."""
    ranges: list[tuple[int, Code]] = []
    for number in range(_YOUNGEST + 1):
        code = codes.get(number, _refuse(errno.EPERM))
        if not ranges or ranges[-1][1] != code:
            ranges.append((number, code))
    return [*ranges, (_YOUNGEST + 1, _refuse(errno.ENOSYS))]


def _search(ranges: list[tuple[int, Code]]) -> Code:
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    first = ranges[middle][0]
    if len(below) <= _REACH:
        return [(_AT_LEAST, len(below), 0, first), *below, *above]
    return [(_AT_LEAST, 0, 1, first), (_JUMP, 0, 0, len(below)), *below, *above]


def _judge(rule: Rule) -> Code:
    refuse = _refuse(rule.otherwise)
    return [*(step for test in rule.require for step in _check(test, refuse)), (_RETURN, 0, 0, _ALLOW)]


def _check(test: Test, refuse: Code) -> Code:
    """Goes on after its end where the test holds."""
    low = _ARGUMENTS + 8 * test.argument  # little-endian, as both processors are
    code: Code = [(_LOAD, 0, 0, low + 4), (_EQUAL, 1, 0, 0), *refuse] if test.wide else []
    code += [(_LOAD, 0, 0, low), (_AND, 0, 0, test.mask)]
    left = len(test.one_of)
    return [*code, *((_EQUAL, left - place, 0, value) for place, value in enumerate(test.one_of)), *refuse]


def _refuse(number: int) -> Code:
    return [(_RETURN, 0, 0, _REFUSE | number)]
