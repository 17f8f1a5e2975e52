"""Which addresses outgoing connections may reach: public ones, and networks that an operator allows (rule D9)."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from shared.errors import InvalidSettings, SluiceError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressRefused(SluiceError):
    """The address may not be reached; the message says why, and what an operator can do."""


_METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(each)
    for each in (
        "169.254.169.254/32",  # most clouds
        "169.254.170.2/32",  # containers at AWS
        "169.254.170.23/32",
        "fd00:ec2::254/128",
        "fd00:ec2::23/128",
        "fd20:ce::254/128",  # Google
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure: its platform, at an address that looks public
        "192.0.0.192/32",  # Oracle
    )
)
"""Addresses at which clouds serve credentials of the machine: no setting allows them."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_SPECIAL = tuple(ipaddress.IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_RELAYS = ipaddress.IPv4Network("192.88.99.0/24")
_ISATAP = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Refuses every address that is not public, apart from the `allowed` networks."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, networks: Iterable[str]) -> Self:
        """Return the rules that allow some networks, as in `10.1.0.0/16`. Raises InvalidSettings."""
        try:
            return cls(tuple(ipaddress.ip_network(each.strip()) for each in networks if each.strip()))
        except ValueError:
            raise InvalidSettings(
                "allowed networks must be addresses or networks without host bits, as in 10.1.0.0/16"
            ) from None

    def check(self, text: str) -> Address:
        """Return the address in a text if it may be reached. Raises AddressRefused."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise AddressRefused("the name does not stand for an IP address") from None
        target = find_target(address)
        if any(target in each for each in _METADATA if each.version == target.version):
            raise AddressRefused(f"{target} is a metadata service of a cloud, which is never reached")
        in_use = target is address or _is_known_form(address)
        if in_use and any(target in each for each in self.allowed if each.version == target.version):
            return address
        if not in_use or not is_public(target):
            raise AddressRefused(
                f"{target} is not a public address; an operator can allow its network with "
                "SLUICE_DELIVERY_ALLOWED_NETWORKS"
            )
        return address


def find_target(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4), or else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[12:])
    if address.sixtofour is not None:
        return address.sixtofour
    if address.packed[8:12] in _ISATAP or not any(address.packed[:12]):
        return ipaddress.IPv4Address(address.packed[12:])
    return address


def is_public(address: Address) -> bool:
    """Return whether an address belongs to one host of the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved and address not in _RELAYS
    # Everything outside 2000::/3 is special in some way, and Python's own lists differ between its releases.
    return address.is_global and address in _GLOBAL_UNICAST and not any(address in each for each in _SPECIAL)


def _is_known_form(address: Address) -> bool:
    """Return whether an IPv6 address that stands for a public IPv4 address is of a form that is in use."""
    assert isinstance(address, ipaddress.IPv6Address)
    return address.ipv4_mapped is not None or address in _NAT64
