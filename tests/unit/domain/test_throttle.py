import ipaddress
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authapp.domain.throttle import Limit, Limits, Rate, TooManyAttempts, network_of

QUARTER = timedelta(minutes=15)
ACCOUNT, ADDRESS = Rate(10, QUARTER), Rate(100, QUARTER)
LIMITS = Limits(ACCOUNT, ADDRESS)


class TestNetwork:
    @pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.1", "0.0.0.0", "255.255.255.255"])
    def test_an_ipv4_address_is_one_client(self, address):
        assert network_of(address) == address

    @pytest.mark.parametrize(
        "address",
        [
            "2001:db8:1:2::",
            "2001:db8:1:2::1",
            "2001:0DB8:0001:0002:ffff:ffff:ffff:ffff",
            "2001:db8:1:2:3:4:192.0.2.1",
        ],
    )
    def test_a_network_of_ipv6_is_one_client(self, address):
        assert network_of(address) == "2001:db8:1:2::/64"

    def test_its_neighbour_is_another(self):
        assert network_of("2001:db8:1:3::1") == "2001:db8:1:3::/64"

    @pytest.mark.parametrize(
        "address", ["::ffff:192.0.2.1", "::FFFF:c000:201", "::ffff:192.0.2.1%2"]
    )
    def test_ipv4_written_as_ipv6_is_the_same_client(self, address):
        assert network_of(address) == "192.0.2.1"

    def test_others_that_are_written_so_are_others(self):
        assert network_of("::ffff:192.0.2.2") != network_of("::ffff:192.0.2.1")

    @pytest.mark.parametrize("address", ["fe80::1", "fe80::1%eth0", "fe80::2%1", "fe80::1%"])
    def test_a_scope_is_no_part_of_it(self, address):
        assert network_of(address) == "fe80::/64"

    @pytest.mark.parametrize(
        "address",
        [
            *(None, "", " ", "%eth0", "localhost", "unix:", "example.com", "1", "192.0.2"),
            *("192.0.2.1:80", "[2001:db8::1]", "2001:db8::1::2", "192.0.2.256", "010.0.0.1"),
            *("192.0.2.1, 198.51.100.1", "192.0.2.1\n", "\0", "x" * 10_000, "٣.0.0.1"),
        ],
    )
    def test_what_is_no_address_is_all_one_client(self, address):
        assert network_of(address) == "unknown"

    @given(st.text())
    def test_it_never_fails(self, address):
        assert network_of(address)

    @given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
    def test_no_address_of_a_network_is_a_way_around_it(self, address, interface):
        other = ipaddress.IPv6Address(int(address) >> 64 << 64 | interface)
        if address.ipv4_mapped is None and other.ipv4_mapped is None:
            assert network_of(str(address)) == network_of(str(other))


class TestLimit:
    def test_its_key_tells_what_and_who_and_keeps_neither(self):
        one = Limit("sign_in account", "ada@example.com", ACCOUNT)

        assert len(one.key) == 32
        assert b"ada" not in one.key
        assert one.key != Limit("sign_in account", "bea@example.com", ACCOUNT).key
        assert one.key != Limit("password account", "ada@example.com", ACCOUNT).key

    def test_its_key_is_the_same_when_the_setting_is_changed(self):
        assert Limit("a", "b", ACCOUNT).key == Limit("a", "b", ADDRESS).key

    def test_what_and_who_do_not_run_into_each_other(self):
        assert Limit("ab", "c", ACCOUNT).key != Limit("a", "bc", ACCOUNT).key

    def test_an_account_is_known_by_its_id_or_its_address_of_mail(self):
        user_id = UUID(int=1)

        assert LIMITS.at_account("password", user_id) == Limit(
            "password account", str(user_id), ACCOUNT, of_account=True
        )
        assert LIMITS.at_account("sign_in", "ada@example.com") == Limit(
            "sign_in account", "ada@example.com", ACCOUNT, of_account=True
        )

    def test_an_address_by_its_network(self):
        home, neighbour = "2001:db8::1", "2001:db8::2"

        limit = LIMITS.from_address("sign_in", home)

        assert limit == Limit("sign_in address", "2001:db8::/64", ADDRESS)
        assert LIMITS.from_address("sign_in", neighbour) == limit

    def test_an_account_that_is_called_as_an_address_has_another_count(self):
        account = LIMITS.at_account("sign_in", "192.0.2.1")

        assert account.key != LIMITS.from_address("sign_in", "192.0.2.1").key


def test_refusal_says_how_long_to_wait():
    refused = TooManyAttempts(Limit("sign_in", "ada", Rate(1, QUARTER)), QUARTER, is_first=True)

    assert (refused.retry_after, refused.is_first) == (QUARTER, True)
    assert "0:15:00" in str(refused)
