"""Addresses of servers, without the secrets that may stand in them."""

from __future__ import annotations


def without_secrets(address: str) -> str:
    """Returns the address without user, password, query and fragment."""
    return without_password(address.partition("?")[0].partition("#")[0])


def without_password(address: str) -> str:
    """Returns the address without user and password, ``...`` for what is no address."""
    from urllib.parse import urlsplit, urlunsplit  # noqa: PLC0415  # seldom needed

    try:
        parts = urlsplit(address)
    except ValueError:
        return "..."
    if not parts.netloc:
        return address.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
