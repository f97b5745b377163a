from datetime import timedelta

import pytest

from authapp.domain.throttle import Limits, Rate, network_of

RATE = Rate(10, timedelta(minutes=15))
LIMITS = Limits(RATE, RATE)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("[2001:db8:1:2::1]:443", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_the_size_that_providers_hand_out(address, network):
    assert network_of(address) == network


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "unknown",
        "localhost",
        "192.0.2.1:80",
        "192.0.2.01",
        "[",
        "[]",
        "1",
        "3221225985",
        "é",
        "::g",
    ],
)
def test_all_of_whom_nothing_is_known_are_counted_as_one(address):
    assert network_of(address) == "unknown"


def test_neighbours_in_another_network_are_others():
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")


def test_keys_tell_actions_and_subjects_apart():
    limits = [
        LIMITS.at_account("sign_in", "a"),
        LIMITS.at_account("sign_in", "b"),
        LIMITS.at_account("password", "a"),
        LIMITS.from_address("sign_in", "192.0.2.1"),
        LIMITS.at_account("sign_in", "192.0.2.1"),
        LIMITS.from_address("sign_up", "192.0.2.1"),
    ]

    assert len({limit.key for limit in limits}) == len(limits)
    assert {len(limit.key) for limit in limits} == {32}
