"""Who may talk to a served page: decided here, before any request reaches it.

What a browser sends on behalf of a hostile website is refused by its Host (a name that was made to
point to this machine) or by its Origin (a page of another server); websockets are no exception.
Where a password is set, nothing but its form is answered without the cookie that it gives.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import weakref
from base64 import b64encode
from typing import Any

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest
from tornado.iostream import IOStream
from tornado.routing import Router
from tornado.web import Application, OutputTransform, RedirectHandler, RequestHandler

from soupxr.dashboard.hosts import HOST, Hosts

__all__ = ["ICON", "Guard", "Headers"]

LOGIN = "/login"
#: Seconds for which an address that gave a wrong password has to wait.
PENALTY = 1.0

ICON = "data:image/svg+xml;base64," + b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    b'<path fill="#0072B2" d="M1 2h9v3H1z"/><path fill="#E69F00" d="M5 6.5h10v3H5z"/>'
    b'<path fill="#009E73" d="M2 11h7v3H2z"/></svg>'
).decode("ascii")

FORM = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>soupxr</title>
<link rel="icon" href="{icon}">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px system-ui, sans-serif; display: grid; place-content: center; height: 90vh }}
form {{ display: grid; gap: 12px; width: 260px }}
input, button {{ font: inherit; padding: 8px 10px }}
p {{ margin: 0; min-height: 1.4em }}
</style>
</head>
<body>
<form method="post" action="{action}">
<input autocomplete="username" value="soupxr" aria-label="user" hidden>
<label for="password">Password of this soupxr page</label>
<input id="password" name="password" type="password" required autofocus
 autocomplete="current-password">
<button>Open</button>
<p role="alert">{told}</p>
</form>
</body>
</html>
"""


class Guard(Router):
    """Answers what must not reach an application, and passes on the rest.

    Parameters
    ----------
    app : tornado.web.Application
        The application.
    hosts : Hosts
        Names under which it may be called.
    password : str or None
        What has to be given once by each browser.
    """

    def __init__(self, app: Application, hosts: Hosts, password: str | None) -> None:
        self._app, self._hosts = app, hosts
        self._password = None if password is None else _digest(password)
        self._pass = secrets.token_urlsafe(32)
        # Browsers send cookies to every port of a machine; each server knows its own by name.
        self._cookie = f"soupxr-{hosts.port}"
        self._waiting: set[str] = set()
        #: Open connections, websockets included.
        self.streams: weakref.WeakSet[IOStream] = weakref.WeakSet()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Begin with a request, whose headers are still to come."""
        self.streams.add(request_conn.stream)  # type: ignore[attr-defined]
        return super().start_request(server_conn, request_conn)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> HTTPMessageDelegate | None:
        """Find what answers a request."""
        refusal = self._refusal(request)
        if refusal:
            return self._answer(request, 403, refusal)
        if self._password is not None and not self._has_pass(request):
            return self._before_the_door(request)
        if self._password is not None and request.path == LOGIN:
            return self._delegate(request, RedirectHandler, url="/", permanent=False)
        if request.method == "HEAD":
            return self._answer(request, 200, "")
        if request.path == "/autoload.js" or (request.path == "/" and not _is_visit(request)):
            return self._answer(request, 403, "This page stands in a tab of its own only.")
        return self._app.find_handler(request)

    def is_password(self, given: str) -> bool:
        """Compare in a time that does not depend on what was given."""
        return self._password is not None and hmac.compare_digest(self._password, _digest(given))

    async def penalize(self, address: str) -> None:
        """Let an address wait; it is refused meanwhile."""
        self._waiting.add(address)
        try:
            await asyncio.sleep(PENALTY)
        finally:
            self._waiting.discard(address)

    def has_to_wait(self, address: str) -> bool:
        """Whether an address gave a wrong password a moment ago."""
        return address in self._waiting

    def give_pass(self, handler: RequestHandler) -> None:
        """Let a browser in from now on."""
        handler.set_cookie(self._cookie, self._pass, path="/", httponly=True, samesite="Lax")

    def _refusal(self, request: HTTPServerRequest) -> str | None:
        hosts = request.headers.get_list("Host")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            # Names of this machine are not for whoever asks.
            return (
                "Host: open this page by the address that it is served at; "
                "through a tunnel, use the same port at both ends."
            )
        origins = request.headers.get_list("Origin")
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return "Origin: this server answers its own pages only."
        return None

    def _has_pass(self, request: HTTPServerRequest) -> bool:
        shown = request.cookies.get(self._cookie)
        return shown is not None and hmac.compare_digest(_digest(shown.value), _digest(self._pass))

    def _before_the_door(self, request: HTTPServerRequest) -> HTTPMessageDelegate:
        if request.path == LOGIN and request.method in ("GET", "POST"):
            return self._delegate(request, _Login, guard=self)
        if request.path == "/" and request.method == "GET" and _is_visit(request):
            return self._delegate(request, RedirectHandler, url=LOGIN, permanent=False)
        return self._answer(request, 403, f"This server asks for a password first, at {LOGIN}.")

    def _answer(self, request: HTTPServerRequest, status: int, text: str) -> HTTPMessageDelegate:
        return self._delegate(request, _Answer, status=status, text=text)

    def _delegate(
        self, request: HTTPServerRequest, handler: type[RequestHandler], **options: Any
    ) -> HTTPMessageDelegate:
        return self._app.get_handler_delegate(request, handler, options)


class Headers(OutputTransform):
    """Forbids every page of an application to load from, or to stand in, pages of others."""

    def __init__(self, request: HTTPServerRequest) -> None:
        # Some browsers do not count a websocket of the same server as 'self'.
        socket = f"ws://{request.host}" if HOST.fullmatch(request.host.lower()) else ""
        self._policy = (
            # Panel compiles its components in the browser, which takes eval and blobs.
            "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
            f"connect-src 'self' data: blob: {socket}; "
            "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add the headers."""
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Content-Security-Policy"] = self._policy
        return status_code, headers, chunk


class _Answer(RequestHandler):
    """A status and a sentence."""

    def initialize(self, status: int, text: str) -> None:
        self._told = (status, text)

    def prepare(self) -> None:
        status, text = self._told
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)


class _Login(RequestHandler):
    """The form that asks for the password."""

    def initialize(self, guard: Guard) -> None:
        self._guard = guard

    def get(self) -> None:
        self._ask("")

    async def post(self) -> None:
        address = self.request.remote_ip or ""
        if self._guard.has_to_wait(address):
            self.set_status(429)
            self._ask("Wait a second, then try again.")
        elif self._guard.is_password(self.get_body_argument("password", "", strip=False)):
            self._guard.give_pass(self)
            self.redirect("/", status=303)
        else:
            await self._guard.penalize(address)
            self.set_status(403)
            self._ask("That is not the password.")

    def _ask(self, told: str) -> None:
        self.set_header("Cache-Control", "no-store")
        self.write(FORM.format(icon=ICON, action=LOGIN, told=told))


def _is_visit(request: HTTPServerRequest) -> bool:
    """Whether somebody opens the page: not an image, a frame or a script, nor just in case."""
    wanted = request.headers.get("Sec-Fetch-Dest", "document")
    return wanted == "document" and "Sec-Purpose" not in request.headers


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
