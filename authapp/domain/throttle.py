"""How often something may be tried, and by whom.

ASVS 5.0 6.1.1 and 6.3.1; OWASP "Slow Down Online Guessing Attacks with Device Cookies". Every
attempt is counted before the work is done that it asks for, and the count is committed by itself,
so that neither parallel attempts nor a rollback can hide one.
"""

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from authapp.domain.errors import DomainError

# Providers hand out whole networks of this size: an address alone would be no limit at all.
_IPV6_NETWORK = 64
_IPV6_WITH_PORT = re.compile(r"\[(?P<address>[^]]+)\]:\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` times in each `period`, which begins with the first time."""

    count: int
    period: timedelta


@dataclass(frozen=True, slots=True)
class Limit:
    """`subject` names who, `action` what; only a digest of the two is kept. `of_account` says that
    whoever reaches the limit has tried to get at one account."""

    action: str
    subject: str
    rate: Rate
    of_account: bool = False

    @property
    def key(self) -> bytes:
        return hashlib.sha256(f"{self.action}\0{self.subject}".encode()).digest()


class TooManyAttempts(DomainError):
    """Nothing was tried, as `limit` is reached. `retry_after` is the time until there may be
    another attempt; `is_first` says that this is the first one that was refused, so that each flood
    is news only once."""

    def __init__(self, limit: Limit, retry_after: timedelta, *, is_first: bool = False) -> None:
        super().__init__(f"too many attempts; the next one in {retry_after}")
        self.limit = limit
        self.retry_after = retry_after
        self.is_first = is_first


class Throttle(Protocol):
    def take(self, limits: Sequence[Limit]) -> None:
        """Counts an attempt under each limit, in their order, up to the first that is exceeded.

        Raises `TooManyAttempts` there. All counts are committed at once.
        """
        ...

    def give_back(self, limits: Sequence[Limit]) -> None:
        """Takes an attempt back that turned out to be none; commits at once."""
        ...

    def clear(self, limits: Sequence[Limit]) -> None:
        """Forgets all attempts under these limits; commits at once."""
        ...

    def purge(self, batch_size: int) -> int:
        """Deletes up to so many counters that are over; commits at once, and says how many."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for an attempt, by the rates that are set for an account and for an address."""

    account: Rate
    address: Rate

    def at_account(self, action: str, account: str | UUID) -> Limit:
        """`account` is an id, or a folded address of mail, known or not."""
        return Limit(f"{action} account", str(account), self.account, of_account=True)

    def from_address(self, action: str, address: str | None) -> Limit:
        return Limit(f"{action} address", network_of(address), self.address)


def network_of(address: str | None) -> str:
    """What counts as one client: an IPv4 address, or a network of IPv6."""
    text = address or ""
    # As some proxies write it, and waitress passes it on.
    if with_port := _IPV6_WITH_PORT.fullmatch(text):
        text = with_port["address"]
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, _IPV6_NETWORK), strict=False))
    return str(ip)
