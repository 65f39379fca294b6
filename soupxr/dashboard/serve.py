"""Serves a page to browsers: to those of this machine alone unless a password is set.

The server has a thread and an event loop of its own, so that it is the same in a script, a shell
and a notebook. Callbacks of a page run in that thread, in the order in which the browser sent them,
and all pages wait for one that is slow: long work belongs in a thread of the page's own.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import socket
import threading
import webbrowser
from collections.abc import Callable
from concurrent.futures import Future
from html import escape
from typing import Any

import panel as pn
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.ws import WSHandler
from panel.io.application import build_applications
from panel.io.resources import LOCAL_DIST
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClosedError

from soupxr.dashboard.guard import ICON, Guard, Headers
from soupxr.dashboard.hosts import Hosts, bound, is_loopback, is_wildcard, netloc
from soupxr.errors import ArgumentError, SoupError, expected

__all__ = ["Server", "serve"]

log = logging.getLogger(__name__)

MakePage = Callable[[], pn.viewable.Viewable]

#: How long the session of a closed tab lives on, and how often such are looked for.
UNUSED_MS, CHECK_MS = 20_000, 5_000
#: Seconds after which a browser that does not answer any more counts as gone.
PING_S = 15.0
#: For what pages said last, when the server ends (s).
LAST_WORDS_S = 3.0
#: A form with a password is all that is ever posted; everything else goes over the websocket.
POST_BYTES = 64 * 1024

FAILED = '<h1>This page could not be made</h1><pre style="white-space: pre-wrap">{}</pre>'


class Server:
    """A page that is being served; made by :func:`serve`.

    Parameters
    ----------
    make_page : callable
        As for :func:`serve`.
    sockets : list of socket
        Bound, all to one port.
    address : str
        Address that was asked for.
    password : str or None
        Password.
    title : str
        Title of the page.
    """

    def __init__(
        self,
        make_page: MakePage,
        sockets: list[socket.socket],
        address: str,
        password: str | None,
        title: str,
    ) -> None:
        self._make_page, self._sockets = make_page, sockets
        self._address, self._password, self._title = address, password, title
        self._port = int(sockets[0].getsockname()[1])
        self._app: BokehTornado | None = None
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="soupxr-server", daemon=True)
        self._thread.start()
        self._loop, self._end = self._started.result()
        # The thread does not keep Python from ending, but gets the time to end its sessions.
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        """What to open in a browser of this machine."""
        address = self._address
        if is_wildcard(address):
            address = "::1" if ":" in address else "127.0.0.1"
        return f"http://{netloc(address, self._port)}/"

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return self._port

    @property
    def running(self) -> bool:
        """Whether it has not been stopped."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End all sessions and the server; nothing happens if it has been stopped before."""
        atexit.unregister(self.stop)
        if self.running:
            self._loop.call_soon_threadsafe(self._end.set)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def wait(self) -> None:
        """Stay until it is stopped, or stop it with Ctrl+C."""
        try:
            while self.running:
                # On Windows, Ctrl+C comes through between two waits only.
                self._thread.join(0.5)
        except KeyboardInterrupt:
            self.stop()

    def __repr__(self) -> str:
        if not self.running:
            return f"<soupxr server at {self.url}, stopped>"
        count = len(self._sessions())
        pages = "1 page" if count == 1 else f"{count} pages"
        return f"<soupxr server at {self.url}, {pages} open; .stop() ends it>"

    def _sessions(self) -> list[Any]:
        contexts = [] if self._app is None else self._app.applications.values()
        return [session for context in contexts for session in list(context.sessions)]

    # ------------------------------------------------------------------ in the thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
            # Not before: what pages had put off until the next turn finds no document any more.
            asyncio.run(self._forget_sessions())
        except BaseException as error:
            if self._started.done():
                log.exception("The server at %s ended", self.url)
            else:
                self._started.set_exception(error)

    async def _serve(self) -> None:
        self._app = app = _application(self._make_page, self._title)
        guard = Guard(app, Hosts(self._address, self._port), self._password)
        http = HTTPServer(guard, max_body_size=POST_BYTES)
        server = BaseServer(IOLoop.current(), app, http)
        http.add_sockets(self._sockets)
        server.start()
        end = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(_overlook_closed_pages)
        self._started.set_result((asyncio.get_running_loop(), end))
        await end.wait()
        server.stop()
        await self._end_sessions()
        await http.close_all_connections()
        # Websockets are none of them: a page that is open sees that its server is gone.
        for stream in list(guard.streams):
            stream.close()
        # What pages said before is seen to its end; to break that off would be logged as an error.
        if last := _requests():
            await asyncio.wait(last, timeout=LAST_WORDS_S)

    async def _forget_sessions(self) -> None:
        """Let go of all that belongs to pages, which Panel would keep for as long as Python runs.

        Documents tell their loop to clear up later, hence a coroutine.
        """
        for session in self._sessions():
            session.destroy()
        self._app = None

    async def _end_sessions(self) -> None:
        assert self._app is not None
        for context in self._app.applications.values():
            for session in list(context.sessions):
                there = session.document.session_context
                if there is not None:
                    await context.application.on_session_destroyed(there)


def serve(
    make_page: MakePage,
    *,
    port: int = 0,
    address: str = "127.0.0.1",
    open_browser: bool = True,
    wait: bool = True,
    password: str | None = None,
    title: str = "soupxr",
) -> Server:
    """Serve a page.

    Parameters
    ----------
    make_page : callable
        Makes what is shown, anew for each tab, in the server's thread.
    port : int
        Default: any that is free.
    address : str
        Address to listen on. Any but this machine's own demands a password; ``"0.0.0.0"`` is all
        of them.
    open_browser : bool
        Open the page in the default browser, once the server answers.
    wait : bool
        Stay until Ctrl+C; otherwise return at once and serve on until Python ends.
    password : str, optional
        Has to be given once by each browser. It travels as it is, without encryption: outside a
        network that you trust, leave ``address`` as it is and come through a tunnel
        (``ssh -L 5006:localhost:5006 <machine>`` with ``port=5006``). On a machine that others log
        in to, set one even for its own address.
    title : str
        Title of the page.

    Returns
    -------
    Server
        With ``url``, ``port`` and ``stop()``; where ``wait`` is set, it has been stopped.

    Raises
    ------
    ArgumentError
        If the port is in use, the address is not this machine's, or it lacks a password.
    """
    _check(make_page, port, address, password)
    server = Server(make_page, bound(port, address), address, password, title)
    if not is_loopback(address):
        _tell_of_network(server, address)
    if open_browser:
        # Browsers of the terminal do not come back until they are closed.
        threading.Thread(target=_open, args=(server.url,), daemon=True).start()
    elif wait:
        log.warning("Open %s in a browser; Ctrl+C ends it.", server.url)
    if wait:
        server.wait()
    return server


def _check(make_page: object, port: object, address: object, password: object) -> None:
    if not callable(make_page):
        raise ArgumentError(expected("make_page", "a function without arguments", make_page))
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        remedy = "0 takes any that is free."
        raise ArgumentError(expected("port", "a number from 0 to 65535", port, remedy))
    if not isinstance(address, str) or not address:
        raise ArgumentError(expected("address", "one such as '127.0.0.1'", address))
    if password is not None and not (isinstance(password, str) and password):
        # What came may be a password after all: not into a message.
        came = "" if password == "" else type(password)
        raise ArgumentError(expected("password", "a text that is not empty, or None", came))
    if password is None and not is_loopback(address):
        expectation = f"one, for others can reach the address {address!r}"
        remedy = (
            "Pass password=…, or leave out address= and come through a tunnel: "
            "ssh -L 5006:localhost:5006 <machine>, with port=5006."
        )
        raise ArgumentError(expected("password", expectation, password, remedy))


def _tell_of_network(server: Server, address: str) -> None:
    name = socket.gethostname() if is_wildcard(address) else address
    there = f"http://{netloc(name, server.port)}/"
    log.warning("Others can reach this page at %s; it asks them for the password.", there)


def _open(url: str) -> None:
    try:
        opened = webbrowser.open(url)
    except webbrowser.Error:
        opened = False
    if not opened:
        log.warning("There is no browser to be opened here. Open %s", url)


# ------------------------------------------------------------------ the application


def _application(make_page: MakePage, title: str) -> BokehTornado:
    return BokehTornado(
        # Panel's model of the URL does not know IPv6.
        build_applications(lambda: _page(make_page), title=title, location=False),
        # The guard has asked for more: an Origin that is equal to a Host that is known.
        extra_websocket_origins=["*"],
        transforms=[Headers],
        unused_session_lifetime_milliseconds=UNUSED_MS,
        check_unused_sessions_milliseconds=CHECK_MS,
        keep_alive_milliseconds=0,
        websocket_ping_interval=PING_S,
        websocket_ping_timeout=PING_S,
        # They are written into the page otherwise, the cookie of the password with them.
        include_headers=[],
        include_cookies=[],
        log_function=_log_request,
    )


def _overlook_closed_pages(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing of a message that was on its way to a page when somebody closed it."""
    if not isinstance(context.get("exception"), WebSocketClosedError):
        loop.default_exception_handler(context)


def _page(make_page: MakePage) -> pn.viewable.Viewable:
    """Make the page, or one that says why there is none."""
    document = pn.state.curdoc
    assert document is not None
    # A session that begins with its websocket, the first one having run out, is not told by Panel
    # where its files are, and would ask a content delivery network for them.
    document.template_variables.update(app_favicon=ICON, apple_icon="", dist_url=LOCAL_DIST)
    try:
        return make_page()
    except Exception as error:
        log.exception("A page could not be made")
        told = str(error) if isinstance(error, SoupError) else "The server's log says more."
        return pn.pane.HTML(FAILED.format(escape(told)), sizing_mode="stretch_width")


def _requests() -> set[asyncio.Task[Any]]:
    """What is being done about requests, websockets and each of their messages among them."""
    names = [work.__qualname__ for work in (RequestHandler._execute, WSHandler.on_message)]
    return {t for t in asyncio.all_tasks() if getattr(t.get_coro(), "__qualname__", "") in names}


def _log_request(handler: RequestHandler) -> None:
    request = handler.request
    log.debug("%s %s %s", handler.get_status(), request.method, request.path)
