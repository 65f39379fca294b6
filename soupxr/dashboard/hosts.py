"""Addresses that a server listens on, and the names under which it is called."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket

from soupxr.errors import ArgumentError, expected

__all__ = ["HOST", "Hosts", "bound", "is_loopback", "is_wildcard", "netloc"]

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address."""
    ip = _ip(address)
    return address == "localhost" if ip is None else ip.is_loopback


def is_wildcard(address: str) -> bool:
    """Whether an address stands for all of this machine's."""
    ip = _ip(address)
    return ip is not None and ip.is_unspecified


def netloc(address: str, port: int) -> str:
    """Address and port as they stand in a URL."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


class Hosts:
    """The values of the header Host under which a server is known.

    Parameters
    ----------
    address : str
        Address that it listens on. If that is all of them, every IP address is right, for no
        website can pretend to be one, and so is the name of this machine.
    port : int
        Port that it listens on.
    """

    def __init__(self, address: str, port: int) -> None:
        self.port = port
        self.names = {*LOOPBACK, address.lower()}
        self.any_ip = is_wildcard(address)
        if self.any_ip:
            names = {socket.gethostname().lower(), socket.getfqdn().lower()}
            self.names |= names | {f"{name}.local" for name in names}

    def __contains__(self, host: str) -> bool:
        match = HOST.fullmatch(host.lower())
        if match is None or int(match[2] or 80) != self.port:
            return False
        name = match[1].strip("[]")
        return name in self.names or (self.any_ip and _ip(name) is not None)


def bound(port: int, address: str) -> list[socket.socket]:
    """Sockets that listen on a port of an address, for a server of tornado.

    Parameters
    ----------
    port : int
        0 takes any that is free, the same for all sockets.
    address : str
        IP address or name.

    Raises
    ------
    ArgumentError
        If the port is in use or not allowed, or the address is not this machine's.
    """
    try:
        return _sockets(port, address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "Something else listens there: choose another, or 0 for any that is free."
            raise ArgumentError(expected("port", "a free one", port, remedy)) from error
        if error.errno == errno.EACCES:
            raise ArgumentError(expected("port", "one that may be used", port)) from error
        remedy = f"'127.0.0.1' is there on every machine ({error})."
        raise ArgumentError(
            expected("address", "an address of this machine", address, remedy)
        ) from error


def _sockets(port: int, address: str) -> list[socket.socket]:
    """One for each address that a name stands for: ``localhost`` is IPv4 and IPv6."""
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    try:
        for family, ip in dict.fromkeys((family, str(place[0])) for family, *_, place in found):
            try:
                sockets.append(socket.create_server((ip, port), family=family))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = error
                continue
            sockets[-1].setblocking(False)
            port = int(sockets[0].getsockname()[1])
        if not sockets and absent is not None:
            raise absent
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets
