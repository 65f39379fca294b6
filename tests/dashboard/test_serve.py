"""The server of the pages: whom it answers, and how it begins and ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import html
import http.client
import logging
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import weakref
import webbrowser

import panel as pn
import param
import pytest
from bokeh.client import pull_session
from bokeh.server.views.ws import WSHandler
from pages import until

from soupxr.dashboard import guard
from soupxr.dashboard import serve as module
from soupxr.dashboard.hosts import Hosts
from soupxr.dashboard.serve import serve
from soupxr.errors import ArgumentError, StoreError

CHROMIUM = shutil.which("chromium")
PASSWORD = "grüne Grütze & Co"


class Counter(pn.custom.JSComponent):
    """A button that Python counts the clicks of."""

    clicks = param.Integer(0)
    _esm = """
    export function render({ model, el }) {
      const button = document.createElement("button");
      const show = () => { button.textContent = `clicked ${model.clicks}`; };
      button.onclick = () => model.send_msg({ type: "click" });
      model.on("change:clicks", show);
      show();
      el.append(button);
    }
    """

    def _handle_msg(self, message):
        self.clicks += 1


@pytest.fixture
def start():
    """Serve a page whose sessions are counted; every server ends with the test."""
    servers = []

    def make(page=lambda: pn.pane.HTML("here it is"), **options):
        built = []

        def count():
            built.append(page())
            return built[-1]

        server = serve(count, **{"open_browser": False, "wait": False, **options})
        server.built = built
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


def ask(server, path="/", method="GET", host=None, body=None, **headers):
    """Send one request; return status, headers and text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host if host is not None else f"127.0.0.1:{server.port}")
        if body is not None:
            named["Content-Type"] = "application/x-www-form-urlencoded"
            named["Content-Length"] = str(len(body))
        for name, value in named.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode(errors="replace")
    finally:
        connection.close()


def upgrade(server, host=None, token="x.y", **headers):
    """Ask for a websocket; return the status."""
    return ask(
        server, "/ws", host=host, Connection="Upgrade", Upgrade="websocket",
        Sec_WebSocket_Version="13", Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==",
        Sec_WebSocket_Protocol=f"bokeh, {token}", **headers,
    )[0]  # fmt: skip


def token_of(page):
    """The token with which a page opens its websocket."""
    return re.search(r'"token":"([^"]+)"', page)[1]


def shown(server):
    """The text of a page of one pane of HTML, as the browser puts it in."""
    with pull_session(url=server.url) as session:
        texts = [root.text for root in session.document.roots if hasattr(root, "text")]
    return html.unescape("".join(texts))


def login(server, password, **headers):
    body = urllib.parse.urlencode({"password": password}).encode()
    return ask(server, "/login", "POST", body=body, **headers)


def pass_of(headers):
    """The cookie that an answer gives, as a request shows it."""
    return headers["Set-Cookie"].partition(";")[0]


# ------------------------------------------------------------------ Host and Origin


def foreign_hosts(port):
    return [
        "evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1",
        "localhost", f"localhost:{port + 1}", f"localhost.:{port}", f"192.168.1.7:{port}", "",
        f"[::1:{port}", f"a@localhost:{port}", f"localhost:{port}:{port}",
    ]  # fmt: skip


def test_a_foreign_host_is_refused_for_pages_files_and_websockets(start):
    server = start()
    for host in foreign_hosts(server.port):
        # What is no name at all is not even a request.
        refused = (400, 403) if "@" in host or host.count(":") > 1 else (403,)
        for path in ("/", "/static/js/bokeh.min.js", "/autoload.js", "/metadata"):
            assert ask(server, path, host=host)[0] in refused, (host, path)
        assert upgrade(server, host=host) in refused, host
        assert upgrade(server, host=host, Origin=f"http://{host}") in refused, host
    assert server.built == []


def test_two_hosts_or_none_are_refused(start):
    server = start()
    good = f"Host: localhost:{server.port}\r\n"
    for hosts in (good + "Host: evil.example\r\n", ""):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(f"GET / HTTP/1.0\r\n{hosts}\r\n".encode())
            status = int(connection.makefile("rb").readline().split()[1])
        assert status in (400, 403)
    assert server.built == []


def test_the_names_of_this_machine_are_known(start):
    server = start()
    for name in ("127.0.0.1", "localhost", "LocalHost", "[::1]"):
        status, _, page = ask(server, host=f"{name}:{server.port}")
        assert status == 200
        assert "<title>soupxr</title>" in page
    assert len(server.built) == 4


def test_a_websocket_is_for_pages_of_this_server(start):
    server = start()
    token = token_of(ask(server)[2])
    own = f"127.0.0.1:{server.port}"
    assert upgrade(server, token=token, Origin=f"http://{own}") == 101
    for origin in (
        "http://evil.example", f"http://evil.example:{server.port}", "null", "", f"https://{own}",
        f"http://localhost:{server.port}", "http://127.0.0.1:8888", f"http://{own}.evil.example",
    ):  # fmt: skip
        assert upgrade(server, token=token, Origin=origin) == 403, origin
        assert ask(server, Origin=origin)[0] == 403, origin
    assert len(server.built) == 1


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("10.1.2.3:80", True), ("10.1.2.3", True), ("[fe80::1]:80", True), ("localhost", True),
        ("evil.example", False), ("10.1.2.3:81", False), ("10.1.2.3.evil.example", False),
        (socket.gethostname(), True), (f"{socket.gethostname()}.local:80", True),
    ],
)  # fmt: skip
def test_all_addresses_are_known_where_it_listens_on_all(host, known):
    assert (host in Hosts("0.0.0.0", 80)) is known


def test_an_address_that_was_asked_for_is_known():
    assert "lab.example:5006" in Hosts("Lab.example", 5006)
    assert "[fe80::2]:5006" in Hosts("fe80::2", 5006)
    assert "10.0.0.2:5006" not in Hosts("10.0.0.1", 5006)


# ------------------------------------------------------------------ sessions


def test_what_does_not_open_the_page_builds_no_session(start):
    server = start()
    assert ask(server, method="HEAD")[0] == 200
    assert ask(server, method="OPTIONS")[0] == 405
    assert ask(server, Sec_Fetch_Dest="image")[0] == 403
    assert ask(server, Sec_Fetch_Dest="iframe")[0] == 403
    assert ask(server, Sec_Purpose="prefetch")[0] == 403
    assert ask(server, "/autoload.js?bokeh-autoload-element=x")[0] == 403
    assert ask(server, "/favicon.ico")[0] == 200
    assert ask(server, "/elsewhere")[0] == 404
    assert server.built == []
    assert ask(server, Sec_Fetch_Dest="document")[0] == 200
    assert len(server.built) == 1


def test_a_session_that_nobody_uses_ends(start, monkeypatch):
    monkeypatch.setattr(module, "UNUSED_MS", 100)
    monkeypatch.setattr(module, "CHECK_MS", 50)
    ended = threading.Event()

    def page():
        pn.state.on_session_destroyed(lambda _: ended.set())
        return pn.pane.HTML("here")

    server = start(page)
    ask(server)
    assert ended.wait(20)


def test_a_closed_tab_is_noticed_within_half_a_minute():
    assert module.UNUSED_MS + module.CHECK_MS <= 30_000


def test_stopping_ends_the_sessions_and_frees_the_port(start):
    ended = []

    def page():
        pn.state.on_session_destroyed(lambda _: ended.append(threading.current_thread()))
        return pn.pane.HTML("here")

    server = start(page)
    assert f"http://127.0.0.1:{server.port}/, 0 pages open" in repr(server)
    tab = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with contextlib.closing(tab):
        tab.request("GET", "/")
        tab.getresponse().read()
        assert "1 page open" in repr(server)
        server.stop()
        server.stop()
        assert len(ended) == 1
        # The server has taken this connection; one that is still in the queue of the port is reset.
        assert tab.sock.recv(1) == b""
    assert "stopped" in repr(server)
    assert start(port=server.port).port == server.port


def test_nothing_of_its_pages_outlives_a_server(start):
    """A notebook may serve hundreds, each with pictures in memory."""
    server = start(Counter)
    ask(server)
    (page,) = server.built
    page = weakref.ref(page)
    server.built.clear()
    server.stop()
    until(lambda: gc.collect() is not None and page() is None)


def test_what_a_page_said_last_is_seen_to_its_end(start, monkeypatch, caplog):
    heard, done = threading.Event(), threading.Event()

    async def slowly(self, fragment):
        heard.set()
        await asyncio.sleep(0.3)
        done.set()

    monkeypatch.setattr(WSHandler, "_receive", slowly)
    server = start()
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: bokeh, {token_of(ask(server)[2])}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as tab:
        tab.sendall(request.encode())
        assert b"101" in tab.recv(4096)
        tab.sendall((bytes([0x81, 0x85, 0, 0, 0, 0]) + b"hello") * 3)
        assert heard.wait(20)
        server.stop()
    assert done.is_set()
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_page_may_stop_its_server(start):
    server = start(lambda: server.stop() or pn.pane.HTML("here"))
    with contextlib.suppress(OSError, http.client.HTTPException):
        ask(server)
    server.wait()
    assert "stopped" in repr(server)


def test_a_page_that_cannot_be_made_says_why(start, caplog):
    def page():
        raise StoreError("reach.zarr: it is <gone>")

    text = shown(start(page))
    assert "<h1>" in text
    assert "&lt;gone&gt;" in text
    assert "A page could not be made" in caplog.text


def test_other_errors_are_told_to_the_log_alone(start, caplog):
    text = shown(start(lambda: 1 / 0))
    assert "log says more" in text
    assert "division" not in text
    assert "division by zero" in caplog.text


# ------------------------------------------------------------------ passwords


def test_without_the_password_there_is_nothing_but_the_form(start):
    server = start(password=PASSWORD)
    status, headers, _ = ask(server)
    assert (status, headers["Location"]) == (302, "/login")
    assert ask(server, "/login")[0] == 200
    for path in ("/static/js/bokeh.min.js", "/metadata", "/favicon.ico", "/autoload.js"):
        assert ask(server, path)[0] == 403
    assert ask(server, method="HEAD")[0] == 403
    own = f"http://127.0.0.1:{server.port}"
    assert upgrade(server, Origin=own) == 403
    assert upgrade(server, Origin=own, Cookie=f"soupxr-{server.port}=guessed") == 403
    assert server.built == []


def test_the_password_lets_a_browser_in(start, monkeypatch):
    monkeypatch.setattr(guard, "PENALTY", 0.01)
    server = start(password=PASSWORD)
    for wrong in ("", "x", PASSWORD.upper(), PASSWORD + " ", " " + PASSWORD):
        status, headers, page = login(server, wrong)
        assert status == 403
        assert "Set-Cookie" not in headers
        assert "not the password" in page
        assert PASSWORD not in page
    status, headers, _ = login(server, PASSWORD)
    assert (status, headers["Location"]) == (303, "/")
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Lax" in headers["Set-Cookie"]
    cookie = pass_of(headers)
    status, _, page = ask(server, Cookie=cookie)
    assert status == 200
    assert cookie.partition("=")[2] not in page
    own = f"http://127.0.0.1:{server.port}"
    assert upgrade(server, token=token_of(page), Origin=own, Cookie=cookie) == 101
    assert ask(server, "/login", Cookie=cookie)[1]["Location"] == "/"


def test_a_cookie_opens_its_own_server_only(start):
    one, two = start(password=PASSWORD), start(password=PASSWORD)
    value = pass_of(login(one, PASSWORD)[1]).partition("=")[2]
    assert ask(one, Cookie=f"soupxr-{one.port}={value}")[0] == 200
    assert ask(two, Cookie=f"soupxr-{two.port}={value}")[0] == 302


def test_the_form_is_guarded_too(start):
    server = start(password=PASSWORD)
    assert login(server, PASSWORD, Origin="http://evil.example")[0] == 403
    assert login(server, PASSWORD, host="evil.example")[0] == 403


def test_guessing_is_slow(start, monkeypatch):
    monkeypatch.setattr(guard, "PENALTY", 60.0)
    server = start(password=PASSWORD)
    body = b"password=guess"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            f"POST /login HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: {len(body)}"
            "\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
            + body
        )
        limit = time.monotonic() + 20
        while (status := login(server, PASSWORD)[0]) == 303 and time.monotonic() < limit:
            pass  # the guess is still on its way
        assert status == 429


def test_beyond_this_machine_a_password_is_demanded(start, caplog):
    for address in ("0.0.0.0", "::", "10.0.0.1", "lab.example", "127.0.0.1.evil.example"):
        with pytest.raises(ArgumentError, match=r"password: expected one, .*Pass password=…"):
            start(address=address)
    server = start(address="0.0.0.0", password=PASSWORD)
    assert server.url == f"http://127.0.0.1:{server.port}/"
    assert ask(server)[0] == 302
    assert f":{server.port}/; it asks them for the password" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("address", ["127.0.0.2", "localhost"])
def test_other_addresses_of_this_machine_need_none(start, address):
    server = start(address=address)
    assert server.url == f"http://{address}:{server.port}/"
    with urllib.request.urlopen(server.url, timeout=20) as answer:
        assert answer.status == 200


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("port", {"port": -1}), ("port", {"port": 65536}), ("port", {"port": "5006"}),
        ("port", {"port": True}), ("address", {"address": ""}), ("address", {"address": None}),
        ("address", {"address": "203.0.113.7", "password": "x"}),
        ("address", {"address": "no-such-machine.invalid", "password": "x"}),
        ("password", {"password": ""}), ("password", {"password": b"secret"}),
        ("make_page", {"make_page": pn.pane.HTML("here")}),
    ],
)  # fmt: skip
def test_useless_arguments_are_named(argument, options):
    options = {"make_page": lambda: None, "open_browser": False, "wait": False} | options
    with pytest.raises(ArgumentError, match=f"{argument}: expected") as raised:
        serve(options.pop("make_page"), **options)
    assert "secret" not in str(raised.value)


def test_a_port_in_use_is_told(start):
    server = start()
    with pytest.raises(ArgumentError, match=rf"port: expected a free one, but got {server.port}"):
        start(port=server.port)


# ------------------------------------------------------------------ beginning and end


def test_the_browser_is_opened_when_the_server_answers(start, monkeypatch):
    seen, done = [], threading.Event()

    def visit(url):
        with urllib.request.urlopen(url, timeout=20) as answer:
            seen.append((url, answer.status))
        done.set()
        return True

    monkeypatch.setattr(webbrowser, "open", visit)
    server = start(open_browser=True)
    assert done.wait(20)
    assert seen == [(server.url, 200)]


def test_without_a_browser_the_address_is_told(start, monkeypatch, caplog):
    asked = threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(asked.set()))
    handled = threading.Event()
    monkeypatch.setattr(module.log, "warning", lambda *told: (handled.set(), seen.append(told)))
    seen = []
    server = start(open_browser=True)
    assert handled.wait(20)
    assert server.url in seen[0]


def test_ctrl_c_ends_it_quietly(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        # What runs in the background of a shell, tests included, is started with Ctrl+C ignored.
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import panel as pn\n"
        "from soupxr.dashboard.serve import serve\n"
        "server = serve(lambda: pn.pane.HTML('here'), open_browser=False)\n"
        "print('after:', server, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        told = process.stderr.readline()  # it stays, and says where it is
        url = re.search(r"http://\S+/", told)[0]
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "stopped" in out
    assert err == ""
    assert process.returncode == 0


# ------------------------------------------------------------------ in a browser


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_logs_in_and_asks_nothing_of_other_machines(start, monkeypatch):
    monkeypatch.setattr(guard, "PENALTY", 0.01)
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    server = start(Counter, password=PASSWORD, title="Reach & <grab>")
    requests, complaints = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.goto(server.url)
        page.locator("#password:focus").wait_for()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        page.get_by_role("alert").get_by_text("not the password").wait_for()
        page.locator("#password:focus").wait_for()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_text("clicked 0").click()
        page.get_by_text("clicked 1").wait_for()
        assert page.title() == "Reach & <grab>"
        # A form of another server cannot hold this page in a frame.
        other = browser.new_page()
        other.set_content(f"<iframe src='{server.url}login'></iframe>")
        other.wait_for_load_state("networkidle")
        assert "password" not in "".join(frame.content() for frame in other.frames[1:])
        browser.close()
    own = (server.url, server.url.replace("http:", "ws:"), "data:", "blob:")
    assert [url for url in requests if not url.startswith(own)] == []
    assert any(url.startswith("ws:") for url in requests)
    # The wrong password is the one thing that went wrong.
    errors = [text for text in complaints if text.startswith("error")]
    assert len(errors) == 1
    assert "403" in errors[0]
