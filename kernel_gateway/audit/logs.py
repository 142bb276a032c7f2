"""What goes to stderr, as text or as JSON: one record of `logging` each, with secrets removed from every value.

Values are redacted one by one and last, just before the record is rendered, so that the JSON stays whole whatever was
in them. The redactors of running gateways, which know exact values, are asked beside the structural rules.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from kernel_gateway.audit.observation_settings import LogSettings
from kernel_gateway.audit.redact import Redactor, redact

_knowing: list[Redactor] = []


@contextmanager
def knowing(redactor: Redactor) -> Iterator[None]:
    """While the context lasts, logs are also cleaned of the exact values that `redactor` knows."""
    _knowing.append(redactor)
    try:
        yield
    finally:
        _knowing.remove(redactor)


def configure(settings: LogSettings, stream: TextIO) -> None:
    """Takes the place of whatever handlers the root logger had."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(settings))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)


def formatter(settings: LogSettings) -> logging.Formatter:
    render: Processor = structlog.processors.JSONRenderer(sort_keys=True) if settings.format == "json" else _line
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _without_secrets,
            render,
        ],
    )


def _without_secrets(_: WrappedLogger, __: str, record: EventDict) -> EventDict:
    return {name: _cleaned(name, value) for name, value in record.items()}


def _cleaned(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = _redacted(value if isinstance(value, str) else repr(value))
    if name in _OURS:
        return text
    begin = f"{name}="  # a name may say that its value is a secret, so both are looked at together
    return _redacted(begin + text).removeprefix(begin)


_OURS = frozenset({"event", "exception", "level", "logger", "timestamp"})


def _redacted(text: str) -> str:
    for redactor in _knowing:
        text = redactor.redact(text)
    return text if _knowing else redact(text)


def _line(_: WrappedLogger, __: str, record: EventDict) -> str:
    """For a person: level, logger, message, and what else there is."""
    record.pop("timestamp")
    words = [str(record.pop("level")).upper(), f"{record.pop('logger')}:", str(record.pop("event"))]
    exception = record.pop("exception", "")
    more = [f"{name}={value}" for name, value in sorted(record.items())]
    return " ".join([*words, *more]) + (f"\n{exception}" if exception else "")
