"""What is under way in one session, at both sides of its limits."""

import pytest
from pydantic import ValidationError

from kernel_gateway.errors import GatewayError
from kernel_gateway.limits.flight import Flight
from kernel_gateway.limits.settings import LimitSettings


def test_one_request_more_than_the_limit_is_busy_and_room_comes_back():
    flight = Flight()
    with flight.message(2), flight.message(2):
        with pytest.raises(GatewayError) as refused, flight.message(2):
            pass
        assert refused.value.code == "busy" and refused.value.retry_after
    with flight.message(1):
        pass
    assert flight.messages == 0


def test_bytes_under_way_may_reach_the_limit_but_not_pass_it():
    flight = Flight()
    with flight.transfer(60, 100), flight.transfer(40, 100):
        with pytest.raises(GatewayError) as refused, flight.transfer(1, 100):
            pass
        assert refused.value.code == "busy"
    assert flight.size == 0


def test_a_failure_gives_the_room_back():
    flight = Flight()
    with pytest.raises(RuntimeError), flight.message(1), flight.transfer(5, 5):
        raise RuntimeError
    assert (flight.messages, flight.size) == (0, 0)


def test_limits_are_positive_numbers_and_unknown_ones_are_refused():
    assert LimitSettings().max_calls_per_cell == 20
    assert LimitSettings().max_calls_per_session == 100
    with pytest.raises(ValidationError):
        LimitSettings(max_calls_per_cell=0)
    with pytest.raises(ValidationError):
        LimitSettings(max_callz=1)
