"""What a served page gives to those who ask for files that it should not give."""

from __future__ import annotations

import http.client
import itertools
from functools import partial
from pathlib import Path

import panel as pn
import pytest
from hostile.cage import TRIED

import soupxr
from soupxr.dashboard.serve import serve

SECRET = "this is nobody's business"
#: Where the server or what it stands on answers with files.
ROUTES = [
    "/", "/static/", "/static/js/", "/static/extensions/panel/", "/static/extensions/panel/dist/",
    "/components/", "/components/soupxr.dashboard.page/Page/", "/assets/", "/login/", "/files/",
    "/static/extensions/", "/autoload.js/", "/metadata/", "/ws/", "/_/", "/rest/", "/liveness/",
]  # fmt: skip
CLIMBS = [
    "../",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "..\\",
    "..%5c",
    "....//",
    "..;/",
    "%252e%252e%252f",
]


@pytest.fixture(
    scope="module", params=["a pane", pytest.param("a viewer", marks=pytest.mark.thorough)]
)
def server(request, film, tmp_path_factory):
    """A page of little, and one of a whole viewer with a store and videos behind it."""
    page = partial(pn.pane.HTML, "here")
    if request.param == "a viewer":
        folder = tmp_path_factory.mktemp("viewed")
        for view in ("side", "front"):
            film(folder / "videos" / "M1" / "S1" / f"reach_{view}_v001.mp4")
        ds = soupxr.create(folder / "reach.zarr", folder / "videos")
        ds = ds.soup.add_item("M1", progress=False)
        page = ds.soup.view().panel
    server = serve(page, open_browser=False, wait=False)
    yield server
    server.stop()


def _ask(server, path: str, method: str = "GET", dest: str = "empty") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", f"127.0.0.1:{server.port}")
        connection.putheader("Sec-Fetch-Dest", dest)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_no_route_leads_to_files(server, tmp_path):
    assert _ask(server, "/", dest="document")[0] == 200, "there is no page"
    (tmp_path / "secret.txt").write_text(SECRET)
    package = Path(soupxr.__file__).parent
    goals = ["etc/passwd", f"{tmp_path}/secret.txt".lstrip("/"), f"{package}/errors.py".lstrip("/")]
    asked = []
    for route, climb, goal in itertools.product(ROUTES, CLIMBS, goals):
        asked += [f"{route}{climb * 12}{goal}", f"{route}x/{climb * 13}{goal}"]
    for route, goal in itertools.product(ROUTES, goals):
        asked += [
            f"{route}/{goal}",
            f"{route}//{goal}",
            f"{route}%2f{goal}",
            f"{route}file:///{goal}",
        ]
        asked += [
            f"{route}?path=/{goal}",
            f"{route}?v=/{goal}&file=/{goal}",
            f"{route}{goal}%00.js",
        ]
    for path in asked:
        status, body = _ask(server, path)
        TRIED["routes", "refused" if status >= 400 else "right"] += 1
        for told in (b"root:", SECRET.encode(), b"class SoupError"):
            assert told not in body, path


@pytest.mark.parametrize(
    "name", ["errors.py", "dashboard/page.py", "_esm", "_stylesheets", "__file__", "../errors.py"]
)
def test_the_source_of_python_is_not_served(server, name):
    for base in ("soupxr.dashboard.page/Page", "soupxr.errors/SoupError", "os/path", "sys/modules"):
        for route in ("/components", "/static/extensions/panel/components", "/assets"):
            body = _ask(server, f"{route}/{base}/{name}")[1]
            assert b"from __future__ import" not in body
            TRIED["routes", "refused"] += 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE", "CONNECT"])
def test_nothing_can_be_put_or_deleted(server, method):
    for route in ROUTES:
        assert _ask(server, route, method)[0] >= 400
        TRIED["routes", "refused"] += 1
