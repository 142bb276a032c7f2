"""Loads configuration: defaults < file < KG_SECTION__KEY < flags. The models live in each folder's settings.py."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kernel_gateway.errors import ConfigError

PREFIX = "KG_"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Section(BaseModel):
    """Base of every settings model: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Values(dict[str, Any]):
    """The merged, still untyped configuration, which knows where each value was written."""

    def __init__(self) -> None:
        super().__init__()
        self._origins: dict[str, str] = {}

    def put(self, keys: Sequence[str], value: Any, origin: str) -> None:
        """Raises ConfigError where the way there leads through something that is no section."""
        section: dict[str, Any] = self
        for depth, key in enumerate(keys[:-1], start=1):
            inner = section.setdefault(key, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{origin} goes into `{'.'.join(keys[:depth])}`, which is not a section")
            section = inner
        section[keys[-1]] = value
        self._origins[".".join(keys)] = origin

    def origin(self, key: str) -> str:
        """Of a dotted key: of its own value, of one within it, or of the closest around it; empty for a default."""
        around = [".".join(key.split(".")[:depth]) for depth in range(key.count("."), 0, -1)]
        within = [each for each in self._origins if each.startswith(f"{key}.")]
        return next((self._origins[each] for each in (key, *within, *around) if each in self._origins), "")


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Values:
    """`flags` are dotted keys; None is a flag that was not given. Raises ConfigError."""
    values = Values()
    for section, value in _read(path).items() if path is not None else ():
        values.put([section], value, f"`{path}`")
    for name, text in environ.items():
        if name.startswith(PREFIX):
            keys = name.removeprefix(PREFIX).lower().split("__")
            if len(keys) < 2 or not all(keys):
                raise ConfigError(f"`{name}` names no setting; write {PREFIX}SECTION__KEY")
            values.put(keys, _typed(text), name)
    for dotted, value in flags.items():
        if value is not None:
            values.put(dotted.split("."), value, f"--{dotted.rpartition('.')[2]}")
    values.update(_resolve(dict(values), environ))
    return values


def complaint(error: ValidationError, values: Mapping[str, Any]) -> ConfigError:
    """The first thing that is wrong with `values`: its key, where it was written, what to write instead."""
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    origin = values.origin(key) if isinstance(values, Values) else ""
    where = (f"`{key}`" if key else "the configuration") + (f" (from {origin})" if origin else "")
    kind, message = first["type"], first["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return ConfigError(f"{where} is no setting; CONFIGURATION.md lists them all")
    if kind in {"tuple_type", "list_type"}:
        message = f'write a list: `["a", "b"]`, or for tables `[[{key}]]`'
    elif kind in {"model_type", "dict_type"}:
        message = f"write a table, `[{key}]`; CONFIGURATION.md lists its keys"
    return ConfigError(f"{where}: {message[:1].lower()}{message[1:]}")


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ConfigError(f"cannot read `{path}`: {error.strerror}; name an existing file with --config") from error
    except OSError as error:
        raise ConfigError(f"cannot read `{path}`: {error.strerror}; check its permissions") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{path}` is not valid TOML: {error}") from error


def _typed(text: str) -> Any:
    """A variable's text as TOML where it is TOML (numbers, booleans, lists), else as it stands."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _resolve(value: Any, environ: Mapping[str, str]) -> Any:
    """`"${NAME}"` becomes the variable's text: secrets are references, never written in the file."""
    if isinstance(value, dict):
        return {key: _resolve(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, environ) for inner in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environ:
            raise ConfigError(f"`${{{name}}}` is used in the configuration but the variable is not set; export {name}")
        return environ[name]

    return _REFERENCE.sub(variable, value)


def environment() -> Mapping[str, str]:
    return os.environ
