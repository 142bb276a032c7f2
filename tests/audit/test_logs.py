"""What a log line looks like, and what never stands in one."""

import io
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_gateway.audit.logs import configure, formatter, knowing
from kernel_gateway.audit.observation_settings import LogSettings
from kernel_gateway.audit.redact import Redactor

SECRET = "correct-horse-battery-staple"


def record(message, *arguments, error=None, **more):
    made = logging.LogRecord("kernel_gateway.x", logging.WARNING, "", 0, message, arguments, error)
    made.__dict__.update(more)
    return made


def in_json(made):
    return json.loads(formatter(LogSettings(format="json")).format(made))


def raised(text):
    try:
        raise ValueError(text)
    except ValueError:
        return sys.exc_info()


def test_a_record_is_one_line_of_json():
    line = formatter(LogSettings(format="json")).format(record("%d cells\nran", 3, session="ses_1"))
    assert "\n" not in line
    values = json.loads(line)
    assert values.pop("timestamp").endswith("Z")
    said = {"event": "3 cells\nran", "level": "warning", "logger": "kernel_gateway.x", "session": "ses_1"}
    assert values == said


def test_text_is_for_people():
    line = formatter(LogSettings()).format(record("%d cells", 3, session="ses_1"))
    assert line == "WARNING kernel_gateway.x: 3 cells session=ses_1"
    first, *_, last = formatter(LogSettings()).format(record("broken", error=raised("no"))).splitlines()
    assert (first, last) == ("WARNING kernel_gateway.x: broken", "ValueError: no")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "made",
    [
        record("Authorization: Bearer %s", SECRET),
        record("sent", password=SECRET),
        record("sent", headers={"Authorization": f"Bearer {SECRET}"}),
        record("https://ada:%s@db.example/x", SECRET),
        record("broken", error=raised(f"password={SECRET}")),
    ],
    ids=["message", "named", "nested", "url", "exception"],
)
def test_a_secret_is_removed_wherever_it_stands(form, made):
    assert SECRET not in formatter(LogSettings(format=form)).format(made)


def test_what_a_running_gateway_knows_is_removed_without_a_hint():
    with knowing(Redactor([SECRET])):
        assert in_json(record("it said %s", SECRET))["event"] == "it said [redacted:known]"
    assert SECRET in in_json(record("it said %s", SECRET))["event"]


@given(st.text(max_size=200), st.text(max_size=50))
def test_json_stays_whole_whatever_is_in_it(message, value):
    made = in_json(record("%s", message, extra_value=value, secret=f'password="{value}'))
    assert {"event", "level", "logger", "timestamp", "extra_value", "secret"} == made.keys()


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)  # pytest's own stay open
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_what_is_configured_is_what_comes_out(root_logger):
    stream = io.StringIO()
    configure(LogSettings(), stream)
    logging.getLogger("kernel_gateway.x").info("unseen")
    configure(LogSettings(format="json", level="info"), stream)
    logging.getLogger("kernel_gateway.x").info("seen")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "seen"
