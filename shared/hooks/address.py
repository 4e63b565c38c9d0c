"""Which addresses an endpoint may have: public ones, by https. Others would be ways into our network.

An administrator of one scope says where we post to. So an address that leads to this machine, to a
private network or to a cloud's metadata is refused, however it is written: as decimal, octal or
hexadecimal numbers, within IPv6 (mapped, compatible, NAT64, 6to4, Teredo), or behind a name. A name is
judged by what it resolves to at each delivery, and the very address that was judged is connected to
(`shared/adapters/hook_post.py`).

`HOOK_NETWORKS` names further networks that a deployment's endpoints may be in, like a hospital's own.
Link-local addresses and metadata services are never among them. Plain http is for this machine alone,
where it is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.errors import InvalidRequest

Network = IPv4Network | IPv6Network

#: Longest address, characters.
LONGEST = 1000

#: Printable ASCII without blanks, and without what parsers disagree about.
_TEXT = re.compile(r"[!#-;=?-\[\]_a-z~%]+")

#: A name as DNS has it; names in other scripts are written as DNS has them (punycode).
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)

#: A name whose last part is a number is an IPv4 address in disguise (WHATWG URL, "ends in a number").
_NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")

#: Metadata services that lie outside of link-local networks: AWS by IPv6, Azure, Alibaba, Oracle.
_METADATA = frozenset(
    map(ip_address, ("fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"))
)

#: IPv6 that carries an IPv4 address in its last 32 bits.
_NAT64, _COMPATIBLE = ip_network("64:ff9b::/96"), ip_network("::/96")

#: IPv6 that leads to IPv4 in ways that nobody needs: 6to4, Teredo, NAT64 of one's own, site-local.
_TUNNELS = tuple(map(ip_network, ("2002::/16", "2001::/32", "64:ff9b:1::/48", "fec0::/10")))

_HTTPS_PORT, _LEAST_PORT = 443, 1024


class Target(NamedTuple):
    """An address, taken apart. `host` is a name or an IP address without brackets."""

    secure: bool
    host: str
    port: int
    path: str  #: with the query

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.secure and self.port == _HTTPS_PORT
        return host if usual else f"{host}:{self.port}"


def target(url: str, allowed: Sequence[Network] = ()) -> Target:
    """An address that something may be posted to, as far as its text tells. Raises `InvalidRequest`."""
    if len(url) > LONGEST or not _TEXT.fullmatch(url):
        raise _unusable(f"must be a web address of up to {LONGEST} characters, without blanks")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise _unusable("is no web address") from None
    if "@" in parts.netloc or "#" in url:
        raise _unusable("must have neither a user nor a fragment in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(host, allowed)):
        raise _unusable("must begin with https://")
    secure = parts.scheme == "https"
    port = (_HTTPS_PORT if secure else 80) if port is None else port
    if secure and port != _HTTPS_PORT and port < _LEAST_PORT:
        raise _unusable(f"must have the port {_HTTPS_PORT}, or one from {_LEAST_PORT} on")
    _check_host(host, allowed)
    path = parts.path or "/"
    return Target(secure, host, port, f"{path}?{parts.query}" if parts.query else path)


def may_reach(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether an IP address is public, or in a network that is allowed."""
    try:
        found = _plain(ip_address(address))
    except ValueError:
        return False
    if found is None or found in _METADATA or found.is_link_local:
        return False
    if any(found in network for network in allowed):
        return True
    odd = found.is_multicast or found.is_reserved or found.is_unspecified
    return found.is_global and not odd


def _plain(found: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address | None:
    """The address that is meant; None for a tunnel, or for one that names an interface."""
    if isinstance(found, IPv4Address):
        return found
    if found.scope_id or any(found in network for network in _TUNNELS):
        return None
    if found.ipv4_mapped is not None:
        return found.ipv4_mapped
    if int(found) > 1 and (found in _NAT64 or found in _COMPATIBLE):
        return IPv4Address(int(found) & 0xFFFFFFFF)
    return found


def _is_here(host: str, allowed: Sequence[Network]) -> bool:
    """Whether a host is this machine, and may be."""
    address = "127.0.0.1" if host == "localhost" else host
    return address in ("127.0.0.1", "::1") and may_reach(address, allowed)


def _check_host(host: str, allowed: Sequence[Network]) -> None:
    try:
        ip_address(host)
    except ValueError:
        if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host):
            raise _unusable("must name a host") from None
        return
    if not may_reach(host, allowed):
        raise _unusable("must be a public address")


def _unusable(problem: str) -> InvalidRequest:
    return InvalidRequest(f"url {problem}.", code="hook_address", field="url")
