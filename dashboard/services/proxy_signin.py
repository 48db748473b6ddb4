"""Signing in by a header that a proxy in front sets, believed from that proxy's address alone.

The address is that of the connection itself, never one that a header tells.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from dashboard.models import User

from . import external_people

ISSUER = "proxy"
MAX_NAME = 150
MAX_GROUPS_HEADER = 8000
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ProxyBackend(BaseBackend):
    """The backend of sessions that a proxy vouches for. It proves nothing by itself and gives no permissions."""

    def get_user(self, user_id: int) -> User | None:
        """The person of a session, while a proxy is configured."""
        if not settings.PROXY_USER_HEADER:
            return None
        return User.objects.filter(pk=user_id, is_active=True).first()


def network(text: str) -> Network | None:
    """An address or a network such as 10.0.0.0/8; None if it is neither."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def told_name(request: HttpRequest) -> str:
    """The name in the header of a proxy that is believed; "" for none."""
    return _told(request, settings.PROXY_USER_HEADER).strip()


def told_groups(request: HttpRequest) -> str:
    """The groups as such a proxy tells them, comma separated."""
    return _told(request, settings.PROXY_GROUPS_HEADER)[:MAX_GROUPS_HEADER]


def welcome(name: str, groups: str) -> User:
    """The person of that name as the proxy knows them. Raises external_people.NotLetIn."""
    if len(name) > MAX_NAME:
        raise external_people.NotLetIn(external_people.NAME_UNUSABLE)
    identity = external_people.welcome(issuer=ISSUER, subject=name, username=name)
    if settings.PROXY_GROUPS_HEADER:
        external_people.follow_groups(identity, groups.split(","))
    return identity.user


def _told(request: HttpRequest, header: str) -> str:
    if not header or not _is_believed(str(request.META.get("REMOTE_ADDR", ""))):
        return ""
    return str(request.headers.get(header, ""))


def _is_believed(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:  # a socket of the file system has no address
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in known for known in _networks(settings.PROXY_ADDRESSES))


def _networks(texts: Sequence[str]) -> list[Network]:
    return [known for known in map(network, texts) if known is not None]
