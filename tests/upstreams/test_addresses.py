"""Which addresses a storage host may resolve to."""

import pytest

from kernel_gateway.upstreams.addresses import permitted, resolve

INSIDE = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"]
NEVER = [
    "169.254.169.254",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_global_addresses_are_permitted(address):
    assert permitted(address, allow_private=False)


@pytest.mark.parametrize("address", INSIDE)
def test_private_and_loopback_addresses_need_the_setting(address):
    assert not permitted(address, allow_private=False)
    assert permitted(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_link_local_multicast_and_nowhere_are_never_permitted(address):
    assert not permitted(address, allow_private=False)
    assert not permitted(address, allow_private=True)


@pytest.mark.parametrize("address", ["64:ff9b::7f00:1", "2002:7f00:1::1", "100.64.0.1"])
def test_translated_and_shared_addresses_are_judged_by_what_they_stand_for(address):
    assert not permitted(address, allow_private=False)


async def test_a_literal_address_resolves_to_itself():
    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]
