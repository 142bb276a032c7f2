"""Classes of the session by value: first an empty class, so that whatever refers to it can, then what is in it."""

import abc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

from cloudpickle.cloudpickle import _enum_getstate

from kernel_ext.checkpoint.homes import Homes

_MADE_WITH_THE_CLASS = (
    "__dict__",
    "__weakref__",
    "__slotnames__",
    "__slots__",
    "__orig_bases__",
    "__module__",
    "_abc_impl",
)
_AT_BIRTH = ("__module__", "__slots__", "__orig_bases__")


def reduce_class(homes: Homes, kind: type) -> tuple[Any, ...]:
    if issubclass(kind, Enum):
        return _reduce_enum(kind)
    metaclass = type(kind)
    known = next(each for each in type.mro(metaclass) if homes.holds(each))
    variables = dict(kind.__dict__)
    at_birth = {name: variables[name] for name in _AT_BIRTH if name in variables}
    contents = {name: value for name, value in variables.items() if not _made_with(kind, name, value)}
    registered = [each() for each in abc._get_dump(kind)[0]] if "_abc_impl" in variables else []  # type: ignore[attr-defined]
    arguments = (known, metaclass, kind.__name__, kind.__bases__, at_birth)
    return make_class, arguments, (kind.__qualname__, contents, registered), None, None, fill_class


def _made_with(kind: type, name: str, value: Any) -> bool:
    if name in _MADE_WITH_THE_CLASS:
        return True
    return type(value) in (MemberDescriptorType, GetSetDescriptorType) and value.__objclass__ is kind


def make_class(known: type, metaclass: type, name: str, bases: tuple[type, ...], at_birth: dict[str, Any]) -> type:
    """`known` is the part of `metaclass` that a library wrote. The session's own hooks ran when the class was made;
    what they did is part of what is restored, so they do not run again.
    """
    with _without_hooks(bases):
        if known is metaclass:
            made: type = metaclass(name, bases, at_birth)
        else:
            made = known.__new__(metaclass, name, bases, at_birth)
    return made


@contextmanager
def _without_hooks(bases: tuple[type, ...]) -> Iterator[None]:
    hooks = [
        (each, each.__dict__["__init_subclass__"])
        for each in {ancestor for base in bases for ancestor in base.__mro__}
        if "__init_subclass__" in each.__dict__ and not _of_a_library(each)
    ]
    for each, _ in hooks:
        type.__setattr__(each, "__init_subclass__", classmethod(lambda cls, **_: None))
    try:
        yield
    finally:
        for each, hook in hooks:
            type.__setattr__(each, "__init_subclass__", hook)


def _of_a_library(kind: type) -> bool:
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is kind and kind.__module__ != "__main__"


def fill_class(kind: type, state: tuple[str, dict[str, Any], list[Any]]) -> None:
    qualname, contents, registered = state
    kind.__qualname__ = qualname
    for name, value in contents.items():
        try:
            type.__setattr__(kind, name, value)
        except TypeError:  # a metaclass in C that wants to see it
            setattr(kind, name, value)
    for each in registered:
        if each is not None:
            kind.register(each)  # type: ignore[attr-defined]


def _reduce_enum(kind: Any) -> tuple[Any, ...]:
    members = {name: member.value for name, member in kind.__members__.items()}
    contents, _ = _enum_getstate(kind)
    contents = {name: value for name, value in contents.items() if name not in members}
    attributes = {name: dict(vars(member)) for name, member in kind.__members__.items()}
    arguments = (type(kind), kind.__name__, kind.__bases__, kind.__module__, members)
    return make_enum, arguments, (kind.__qualname__, contents, attributes), None, None, fill_enum


def make_enum(metaclass: Any, name: str, bases: tuple[type, ...], module: str, members: dict[str, Any]) -> Any:
    variables = metaclass.__prepare__(name, bases)
    variables["__module__"] = module
    for member, value in members.items():
        variables[member] = value
    with _without_hooks(bases):
        return metaclass.__new__(metaclass, name, bases, variables)


def fill_enum(kind: Any, state: tuple[str, dict[str, Any], dict[str, dict[str, Any]]]) -> None:
    qualname, contents, attributes = state
    fill_class(kind, (qualname, contents, []))
    for name, values in attributes.items():
        vars(kind[name]).update({key: value for key, value in values.items() if key not in vars(kind[name])})
