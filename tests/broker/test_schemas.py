"""What arguments of a cell cost to check: the first mistake is named, and nobody looks for the others."""

import pytest

from catalog.reviewed import REVIEWED, SPECS, load_served
from kernel_gateway.broker.schemas import Schemas
from kernel_gateway.errors import GatewayError

OPERATIONS, _ = load_served(SPECS, REVIEWED)


def complaint_about(operations):
    with pytest.raises(GatewayError) as caught:
        Schemas().check_arguments(OPERATIONS.get("image_ops:jobs_create"), {"operations": operations})
    assert caught.value.code == "invalid"
    return caught.value.message


@pytest.mark.timeout(10)  # all the mistakes of the longest arguments that fit a message take twenty seconds
def test_of_as_many_mistakes_as_a_message_holds_the_first_is_named():
    assert complaint_about([{}] * 80_000) == complaint_about([{}])
