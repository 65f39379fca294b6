"""The page's front end alone, in a real browser, against a stand-in for its Python side."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pages import until

from soupxr.dashboard import js

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]

#: Stand-in for the Python side, within the page: keeps what is sent, answers like Python would.
FAKE = r"""
const BITS = 20, CELL = 8;
const NAMES = ["lift", "handopen", "grab", "supinate", "atmouth", "chew"];
const LIGHT = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"];
const DARK = ["#3D9AE0", "#F0B429", "#20C28B", "#E39AC8", "#FF7A3D", "#8FD0F5"];

// Each picture carries its frame's number as black and white squares, and its view as a grey.
// The bytes come in one of the forms in which they may: base64, or an array.
const easel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function encode(frame, shade, width, height) {
  easel.canvas.width = width;
  easel.canvas.height = height;
  easel.fillStyle = `rgb(${shade},${shade},${shade})`;
  easel.fillRect(0, 0, width, height);
  for (let bit = 0; bit < BITS; bit += 1) {
    easel.fillStyle = frame & (1 << bit) ? "#fff" : "#000";
    easel.fillRect(bit * CELL, 0, CELL, CELL);
  }
  const text = easel.canvas.toDataURL("image/jpeg", 0.9).split(",")[1];
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return [text, bytes, bytes.buffer][frame % 3];
}

const scratch = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function readNumber(canvas) {
  const pen = scratch;
  pen.canvas.width = BITS * CELL;
  pen.canvas.height = CELL;
  pen.drawImage(canvas, 0, 0);
  let number = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    const [red] = pen.getImageData(bit * CELL + CELL / 2, CELL / 2, 1, 1).data;
    if (red > 127) number |= 1 << bit;
  }
  return number;
}

class FakePython {
  constructor(options) {
    Object.assign(this, { frames: 2500, fps: 30, editor: "clean", trials: 8, latency: [0, 0],
      rows: null, lanes: null, region: null, current: 0, mute: [], thoughts: null, ...options });
    this.sent = [];
    this.listeners = [];
    this.token = 0;
    this.version = 0;
    this.history = 0;
    this.dropping = false;
    this.queue = [];
  }
  on(name, listener) { if (name === "msg:custom") this.listeners.push(listener); }
  off() {}
  say(message) { for (const listener of this.listeners) listener(message); }
  send_msg(message) {
    this.sent.push(structuredClone(message));
    if (this.mute.includes(message.type)) return;
    const answer = this[`on_${message.type}`];
    if (!answer) return;
    const say = () => answer.call(this, message);
    if (this.thoughts && message.type === "action") this.thoughts.push(say);
    else setTimeout(say, 0);
  }
  think() { this.thoughts.shift()(); }
  taken(type) { return this.sent.filter((message) => message.type === type); }
  actions() {
    return this.taken("action").map(({ type, token, seq, ...rest }) => rest);
  }

  on_ready() {
    const behaviors = (this.names || NAMES).map((name, i) =>
      ({ name, light: LIGHT[i], dark: DARK[i] }));
    this.say({ type: "hello", editor: this.editor, title: "reach.zarr", behaviors,
      views: ["side", "front"], keys: LEGEND, controls: this.controls || [],
      modes: ["fast", "medium", "slow"], review: this.review || false,
      embedded: this.embedded || false });
    this.sayTrials();
    this.openTrial(this.key(0));
  }
  key(i) { return `M${1 + Math.floor(i / 100)}/S1/${i + 1}`; }
  sayTrials() {
    const numbers = Array.from({ length: this.trials }, (_, i) => i);
    this.say({ type: "trials", keys: numbers.map((i) => this.key(i)),
      animals: numbers.map((i) => `M${1 + Math.floor(i / 100)}`), sessions: numbers.map(() => "S1"),
      ids: numbers.map((i) => i + 1), frames: numbers.map((i) => 2500 - (i % 7)),
      labelled: numbers.map((i) => (i % 3 === 0 ? 1 : 0)),
      status: { fast: numbers.map((i) => (i % 5 === 4 ? 3 : 2)), medium: numbers.map((i) => i % 3),
        slow: numbers.map(() => 0) } });
  }
  openTrial(key) {
    this.token += 1;
    const [animal, session, id] = key.split("/");
    this.say({ type: "trial", token: this.token, key, animal, session, trial_id: Number(id),
      n_frames: this.frames, fps: this.fps, width: 352, height: 130, views: [
        { name: "side", width: 176, height: 130 }, { name: "front", width: 176, height: 130 }],
      frame: 0, error: this.error || null, read_only: this.read_only || null });
    this.sayEthogram(true);
    this.sayEdit();
    this.say({ type: "saved", state: "saved", text: "Saved · v0", version: 0 });
  }
  on_open({ key }) { this.openTrial(key); }
  on_ping({ n }) { this.say({ type: "pong", n }); }
  sayEthogram(full) {
    const editable = this.editor === "clean" || this.editor === "manual";
    const rows = this.rows || [{ id: "one", label: "one", editable, faded: false }];
    const row = (i) => (_, r) => ({
      on: [100 + 50 * i + 9 * r, 140 + 50 * i, 1000 + 100 * i, 1300 + 100 * i],
      unknown: [2200, 2400],
    });
    const disagree = (i) => this.editor === "compare" ? [100 + 50 * i, 110 + 50 * i] : [];
    const lanes = this.lanes || NAMES.map((_, i) =>
      ({ behavior: i, rows: rows.map(row(i)), disagree: disagree(i) }));
    const { token, version } = this;
    this.say({ type: "ethogram", token, version, rows, lanes, full, message: null });
  }
  sayEdit() {
    this.say({ type: "edit", token: this.token, current: this.current, region: this.region,
      can_undo: this.history > 0, can_redo: false, ...this.more });
  }
  on_action(message) {
    if (message.token !== this.token) return;
    if (message.name === "current") {
      const stepped = (this.current + message.step + NAMES.length) % NAMES.length;
      this.current = message.behavior ?? stepped;
    } else if (message.name === "region") {
      this.region = message.start === null ? null : [message.start, message.stop];
    } else if (message.name === "mark" || message.name === "move_edge") {
      this.version += 1;
      this.history += 1;
      this.sayEthogram(true);
    }
    this.sayEdit();
    this.say({ type: "acted", token: this.token, seq: message.seq });
  }

  release() {
    const held = this.holding;
    this.holding = null;
    for (const say of held) say();
  }

  on_want({ token, frame, view }) {
    const [least, most] = this.latency;
    const shade = { joined: 90, side: 120, front: 150 }[view];
    const width = view === "joined" ? 352 : 176;
    const say = (fields) => this.say({ type: "frame", token, frame, view, ...fields });
    const answer = (fields) => {
      if (this.holding) this.holding.push(() => say(fields));
      else setTimeout(() => say(fields), least + (most - least) * Math.random());
    };
    if (this.dropping && Math.random() < 0.3) answer({ dropped: true });
    else if (this.broken === frame) answer({ error: "damaged" });
    else answer({ jpeg: encode(frame, shade, width, 130) });
  }
}

const LEGEND = [["1", "occurring"], ["2", "not occurring"], ["3", "unlabelled"],
  ["Q S", "behavior"], ["R", "reset all"], ["T", "reset behavior"], ["Y", "save"],
  ["← →", "step"], ["[ ]", "bout edge"], ["I O", "region"], ["Space", "play"],
  ["Ctrl+Z", "undo"], ["N P", "trial"]]
  .map(([keys, label]) => ({ keys: keys.split(" "), label, action: label }));

window.start = async (source, style, options) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { render } = await import(url);
  const host = document.createElement("div");
  document.body.append(host);
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = document.createElement("style");
  sheet.textContent = style;
  const el = document.createElement("div");
  shadow.append(sheet, el);
  window.fake = new FakePython(options);
  window.host = host;
  window.readNumber = readNumber;
  window.renderAgain = () => render({ model: window.fake, el });
  window.renderAgain();
};
"""


#: Notes each frame that the picture carries, and whether the pixels show that number.
WATCH = """() => {
  const canvas = host.shadowRoot.querySelector('[data-test="picture"]');
  window.drawn = [];
  new MutationObserver(() => {
    if (canvas.dataset.frame === undefined) return;
    const named = Number(canvas.dataset.frame);
    drawn.push({ named, shown: readNumber(canvas), at: performance.now() });
  }).observe(canvas, { attributeFilter: ["data-frame"] });
}"""

ORIGIN = "http://soupxr.test/"
HTML = "<!doctype html><html><head><title>soupxr</title></head><body {}></body></html>"


class Front:
    """The page, and what a test needs of it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.body = "style='margin:0'"
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._listen)
        page.route("**/*", self._route)

    def _listen(self, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def _route(self, route: Any) -> None:
        if route.request.url == ORIGIN:
            route.fulfill(body=HTML.format(self.body), content_type="text/html")
        else:
            route.abort()

    def open(self, **options: Any) -> Front:
        self.page.goto(ORIGIN)
        self.page.add_script_tag(content=FAKE)
        self.page.evaluate(
            "([source, style, options]) => start(source, style, options)",
            [js.source(), js.style(), options],
        )
        self.get("page").and_(self.page.locator("[data-version]")).wait_for()
        if not options.get("error"):
            self.wait_frame(0)
        return self

    def get(self, test: str) -> Any:
        return self.page.locator(f'[data-test="{test}"]')

    def fake(self, expression: str, argument: Any = None) -> Any:
        """Evaluate something about the stand-in, `fake`; the argument is `x`."""
        return self.page.evaluate(f"(x) => fake.{expression}", argument)

    def say(self, **message: Any) -> None:
        self.page.evaluate("(m) => fake.say({ token: fake.token, ...m })", message)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def actions(self) -> list[dict[str, Any]]:
        """What was asked for since the last call."""
        return self.fake("sent.splice(0).filter((m) => m.type === 'action')")

    def names(self) -> list[tuple[Any, ...]]:
        skip = ("type", "token", "seq", "name")
        return [
            (a["name"], *(value for key, value in a.items() if key not in skip))
            for a in self.actions()
        ]

    def wait_frame(self, frame: int) -> None:
        self.page.locator(f'[data-test="picture"][data-frame="{frame}"]').wait_for()

    def wait_past(self, frame: int) -> None:
        """Wait until playing has come to a frame; it may be over by the time this is seen."""
        self.wait_for(
            f"Number(host.shadowRoot.querySelector('[data-test=picture]').dataset.frame) >= {frame}"
        )

    def wait_for(self, condition: str, **options: Any) -> None:
        self.page.wait_for_function(condition, **options)

    def frame(self) -> int:
        return int(self.get("picture").get_attribute("data-frame"))

    def go(self, frame: int) -> None:
        self.get("jump").fill(str(frame))
        self.page.keyboard.press("Enter")
        self.wait_frame(frame)

    # ---------------------------------------------------------------- raster

    def geometry(self) -> dict[str, Any]:
        return self.get("raster").evaluate("element => element.soupGeometry()")

    def at(self, frame: float, lane: int, up: float = 0.5) -> tuple[float, float]:
        """Where an edge of frames and a height within a lane lie on the page."""
        where, box = self.geometry(), self.get("raster").bounding_box()
        share = (frame - where["start"]) / (where["stop"] - where["start"])
        top, bottom = where["lanes"][lane]["top"], where["lanes"][lane]["bottom"]
        x = where["x0"] + share * (where["x1"] - where["x0"])
        return box["x"] + x, box["y"] + top + up * (bottom - top)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2)
        mouse.move(*stop)
        mouse.up()

    def watch(self) -> None:
        self.page.evaluate(WATCH)

    def drawn(self) -> list[int]:
        """Frames drawn since `watch`, each of which showed its own number."""
        drawn = self.page.evaluate("drawn")
        assert [d["named"] for d in drawn] == [d["shown"] for d in drawn]
        return [d["named"] for d in drawn]


@pytest.fixture(scope="module")
def browser():
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def front(browser):
    """A page that asked nothing of anybody and never complained."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(30_000)
    front = Front(page)
    yield front
    page.close()
    assert front.complaints == []
    assert [u for u in front.requests if not u.startswith((ORIGIN, "data:", "blob:"))] == []


# -------------------------------------------------------------------- what is on screen


def test_the_page_names_what_it_shows(front):
    root = front.open(current=2, region=[300, 420]).get("page")
    shown = {name: root.get_attribute(f"data-{name}") for name in ("ready", "trial", "version")}
    assert shown == {"ready": "true", "trial": "M1/S1/1", "version": "0"}
    assert root.get_attribute("data-current") == "2"
    assert root.get_attribute("data-region") == "300-420"
    assert front.get("current").text_content() == "grab"
    assert front.get("region").text_content() == "Region 300–420 · 4.00 s"
    assert front.get("position").text_content() == "0.00 s · frame 0 / 2499"
    saved = front.get("saved")
    assert saved.text_content() == "Saved · v0"
    assert (saved.get_attribute("data-state"), saved.get_attribute("data-version")) == (
        "saved",
        "0",
    )
    assert front.get("picture").get_attribute("data-view") == "joined"
    where = front.geometry()
    assert [lane["behavior"] for lane in where["lanes"]] == list(range(6))
    assert (where["start"], where["stop"]) == (0, 2500)


def test_says_for_screen_readers_what_is_on_screen(front):
    front.open()
    front.get("live").filter(has_text="lift, 0.00 s · frame 0 / 2499, Saved · v0").wait_for()
    unnamed = front.page.evaluate("""() => [...host.shadowRoot.querySelectorAll(
      'button, input, select, [role=img], canvas:not([aria-hidden])')].filter((element) =>
      !element.getAttribute('aria-label') && !element.textContent.trim()
      && !element.closest('label')).map((element) => element.outerHTML)""")
    assert unnamed == []


def test_names_stay_text(front):
    evil = "<img src=x onerror=alert(1)>"
    front.page.on("dialog", lambda dialog: front.complaints.append(dialog.message))
    front.open(names=[evil] * 6)
    front.say(type="notice", text=evil, kind="error")
    front.say(type="saved", state="failed", text=evil)
    front.say(type="controls", controls=[{"id": "b", "kind": "button", "label": evil}])
    front.get("notice").filter(has_text=evil).wait_for()
    front.page.mouse.move(*front.at(1100, 0))
    front.get("tooltip").filter(has_text=evil).wait_for()
    assert front.page.evaluate("host.shadowRoot.querySelectorAll('img').length") == 0


# -------------------------------------------------------------------- keys

ACTIONS = {
    "1": ("mark", 1),
    "2": ("mark", 0),
    "3": ("mark", -1),
    "r": ("reset", "all"),
    "t": ("reset", "behavior"),
    "y": ("save",),
    "Control+z": ("undo",),
    "Control+Shift+z": ("redo",),
    "Control+y": ("redo",),
    "q": ("current", -1),
    "s": ("current", 1),
    "S": ("current", 1),
    "i": ("region_edge", "start", 0),
    "o": ("region_edge", "stop", 0),
}
CHANGES = {"mark", "reset", "save", "undo", "redo", "fill_absent"}


@pytest.mark.parametrize("editor", ["clean", "manual", "view", "compare"])
def test_each_key_asks_for_its_action(front, editor):
    front.open(editor=editor)
    for key, wanted in ACTIONS.items():
        front.press(key)
        allowed = editor in ("clean", "manual") or wanted[0] not in CHANGES
        assert front.names() == ([wanted] if allowed else []), key
    front.press("a")
    assert front.names() == ([("fill_absent",)] if editor == "manual" else [])


def test_a_trial_that_cannot_be_written_is_only_looked_at(front):
    front.open(read_only="the store is read-only")
    front.press("1", "r", "Control+z", "s")
    assert front.names() == [("current", 1)]
    front.drag(front.at(1000, 0), front.at(1050, 0))
    assert [name for name, *_ in front.names()] == ["current", "region"]


def test_keys_move_the_frame(front):
    front.open()
    for key, frame in [
        ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("Shift+ArrowLeft", 0),
        ("ArrowLeft", 0), ("]", 100), ("]", 139), ("]", 1000), ("[", 139), ("[", 100),
    ]:  # fmt: skip
        front.press(key)
        front.wait_frame(frame)
    front.press("s", "]")
    front.wait_frame(150)  # the first bout of the next behavior
    front.press("ArrowRight", "i", "ArrowRight", "o")
    assert front.names()[-2:] == [("region_edge", "start", 151), ("region_edge", "stop", 152)]


def test_keys_act_in_their_order_however_long_python_thinks(front):
    front.open(thoughts=[])
    front.press("s", "]", "i", "]", "o", "1")
    assert front.frame() == 0, "the edge was looked for among those of the behavior before"
    for _ in range(4):
        front.wait_for("fake.thoughts.length > 0")
        front.fake("think()")
    front.wait_frame(189)
    front.wait_for("fake.taken('action').length === 4")
    assert front.names() == [
        ("current", 1),
        ("region_edge", "start", 150),
        ("region_edge", "stop", 189),
        ("mark", 1),
    ]


def test_keys_do_not_wait_for_an_answer_that_will_not_come(front):
    front.open(mute=["action"])
    front.press("1", "]", "ArrowRight")
    assert front.frame() == 0
    front.fake("openTrial(fake.key(1))")
    front.wait_for("host.shadowRoot.querySelector('[data-trial=\"M1/S1/2\"]') !== null")
    front.wait_frame(0)
    front.press("]")
    front.wait_frame(100)


def test_d_jumps_from_disagreement_to_disagreement(front):
    front.open(editor="compare")
    for key, frame in [("d", 100), ("d", 150), ("d", 200), ("Shift+D", 150)]:
        front.press(key)
        front.wait_frame(frame)


@pytest.mark.parametrize("box", ["filter", "jump"])
def test_a_text_box_keeps_its_keys(front, box):
    front.open()
    front.get(box).click()
    front.page.keyboard.type("1 2qsn[")
    assert front.get(box).input_value() == "1 2qsn["
    front.press("ArrowRight")
    assert front.names() == []
    assert front.frame() == 0
    front.press("Escape", "1")
    assert front.names() == [("mark", 1)]


def test_a_select_has_the_keys_only_while_it_has_the_focus(front):
    front.open()
    front.get("speed").focus()
    front.press("1")
    assert front.names() == []
    front.press("Escape", "1")
    assert front.names() == [("mark", 1)]


def test_a_click_on_a_button_leaves_space_to_the_player(front):
    front.open()
    front.get("zoom-in").click()
    before = front.geometry()
    front.press("Space")
    front.wait_past(3)
    front.press("Space")
    assert front.geometry() == before
    front.get("zoom-whole").focus()
    front.press("Space")
    front.wait_for(
        "host.shadowRoot.querySelector('[data-test=raster]').soupGeometry().stop === 2500"
    )


NOTEBOOK = "data-jp-theme-name='light' class='jp-LabShell' style='margin:0'"


def test_in_a_notebook_keys_act_after_a_click_and_the_notebook_does_not_see_them(front):
    front.body = NOTEBOOK
    front.open()
    front.page.evaluate("""() => {
      window.seen = [];
      document.addEventListener('keydown', (event) => seen.push(event.key), true);
      const button = document.createElement('button');
      button.textContent = 'outside';
      button.id = 'outside';
      document.body.append(button);
    }""")
    front.press("1", "b")
    assert front.names() == []
    front.page.mouse.click(*front.at(500, 0))
    front.wait_frame(500)
    front.press("1", "b", "Space", "Space", "ArrowDown", "Control+c")
    assert ("mark", 1) in front.names()
    front.get("filter").click()
    front.page.keyboard.type("xyz")
    assert front.get("filter").input_value() == "xyz"
    front.get("jump").click()
    front.page.keyboard.type("42")
    front.press("Enter")
    front.wait_frame(42)
    assert front.page.evaluate("seen") == ["1", "b", "Control", "c"]
    front.page.locator("#outside").click()
    front.press("1")
    assert front.names() == []


# -------------------------------------------------------------------- raster


def test_a_drag_makes_a_region_in_its_lane(front):
    front.open()
    front.drag(front.at(500.5, 3), front.at(600.5, 3))
    (current, behavior), (region, start, stop) = front.names()
    assert (current, behavior, region) == ("current", 3, "region")
    assert (start, stop) == (500, 601)
    root = front.get("page").and_(front.page.locator('[data-region="500-601"][data-current="3"]'))
    root.wait_for()
    front.wait_frame(600)


def test_a_region_is_sorted_and_clipped(front):
    front.open()
    (x, y), (_, _) = front.at(2400.5, 0, 0.05), (0, 0)
    front.drag((x, y), (x + 400, y))
    assert front.names() == [("region", 2400, 2500)]
    front.wait_frame(2499)
    front.drag(front.at(60.5, 0), (5, y))
    assert front.names() == [("region", 0, 61)]
    front.wait_frame(0)


def test_region_edges_resize_it_and_show_their_frame(front):
    front.open(region=[500, 600])
    front.drag(front.at(600, 4), front.at(700, 4))
    assert front.names() == [("region", 500, 700)]
    front.wait_frame(699)  # the last frame inside
    x, y = front.at(500, 0, 0)
    to, _ = front.at(450, 0)
    front.drag((x, y - 4), (to, y - 4))  # the handle above the lanes
    assert front.names() == [("region", 450, 700)]
    front.wait_frame(450)
    front.drag(front.at(700, 4), front.at(300, 4))  # past the other edge
    assert front.names() == [("region", 300, 450)]
    front.wait_frame(300)


def test_a_bouts_edge_is_dragged_and_shows_its_frame(front):
    front.open()
    mouse = front.page.mouse
    mouse.move(*front.at(1300, 0))
    mouse.down()
    mouse.move(*front.at(1400, 0))
    front.wait_frame(1399)
    assert front.names() == []
    mouse.up()
    assert front.names() == [("move_edge", 0, 1300, 1400)]
    front.drag(front.at(1000, 0), front.at(900, 0))
    assert front.names() == [("move_edge", 0, 1000, 900)]
    front.wait_frame(900)
    front.drag(front.at(1200, 2), front.at(2000, 2))  # a bout keeps a frame
    assert front.names() == [("current", 2), ("move_edge", 2, 1200, 1499)]


def test_what_cannot_be_edited_has_no_edges_to_drag(front):
    front.open(editor="view")
    front.drag(front.at(1300.5, 0), front.at(1400.5, 0))
    assert front.names() == [("region", 1300, 1401)]


def test_escape_gives_up_a_drag_and_then_the_region(front):
    front.open(region=[500, 600])
    mouse = front.page.mouse
    mouse.move(*front.at(800, 0, 0.05))
    mouse.down()
    mouse.move(*front.at(900, 0))
    front.press("Escape")
    mouse.up()
    assert front.names() == []
    front.press("Escape")
    assert front.names() == [("region", None)]


def test_a_click_moves_playhead_and_lane(front):
    front.open()
    front.page.mouse.click(*front.at(700.5, 5))
    front.wait_frame(700)
    assert front.names() == [("current", 5)]
    x, y = front.at(0, 1)
    front.page.mouse.click(x - 30, y)  # its name
    assert front.names() == [("current", 1)]
    assert front.frame() == 700


def test_a_double_click_selects_a_bout(front):
    front.open()
    front.page.mouse.dblclick(*front.at(1250.5, 1))
    *clicks, (name, behavior, frame) = front.names()
    assert set(clicks) == {("current", 1)}
    assert (name, behavior) == ("select_bout", 1)
    assert abs(frame - 1250) <= 3  # a pixel


def test_zoom_and_pan(front):
    front.open()
    mouse = front.page.mouse
    x, y = front.at(800.5, 2)
    mouse.move(x, y)
    mouse.wheel(0, -600)
    stop = "host.shadowRoot.querySelector('[data-test=raster]').soupGeometry().stop"
    front.wait_for(f"{stop} < 2400")
    assert abs(front.at(800.5, 2)[0] - x) < 4  # stays under the mouse
    before = front.geometry()
    front.page.keyboard.down("Shift")
    mouse.wheel(0, 120)
    front.page.keyboard.up("Shift")
    front.wait_for(f"{stop} > {before['stop'] + 1}")
    span = before["stop"] - before["start"]
    after = front.geometry()
    assert after["stop"] - after["start"] == pytest.approx(span)
    axis = front.at(0, 0)[1] - 30
    front.drag((x, axis), (x + 100, axis))
    front.wait_for(f"{stop} < {after['stop'] - 1}")
    mouse.dblclick(x, axis)
    front.wait_for(f"{stop} === 2500")
    front.get("zoom-in").click()
    front.wait_for(f"{stop} < 2400")
    front.get("zoom-whole").click()
    front.wait_for(f"{stop} === 2500")
    assert front.names() == []


def test_the_playhead_stays_in_sight(front):
    front.open()
    for _ in range(6):
        front.get("zoom-in").click()
    front.go(2000)
    front.wait_for(
        "(() => { const g = host.shadowRoot.querySelector('[data-test=raster]').soupGeometry();"
        " return g.start <= 2000 && g.stop >= 2001 && g.stop - g.start < 500; })()"
    )


def test_hover_tells_bouts_absent_and_unlabelled_apart(front):
    front.open()
    tip = front.get("tooltip")
    for frame, text in [
        (1100.5, "liftbout 2 of 2frames1000–1300 · 300 frames · 10.00 stime33.33–43.33 s"),
        (900.5, "liftabsentframe900 · 30.00 s"),
        (2300.5, "liftunlabelledframe2300 · 76.67 s"),
    ]:
        front.page.mouse.move(*front.at(frame, 0))
        tip.filter(has_text=text).wait_for()


def test_watched_frames_are_counted(front):
    front.open(editor="manual", more={"seen": [0, 500, 1000, 1500]})
    x, y = front.at(1200, 0, 0)
    front.page.mouse.move(x, y - 4)
    front.get("tooltip").filter(has_text="Watched1\u202f000 of 2\u202f500 frames").wait_for()


def pixels(front, frames, lane, up=0.5):
    """Colours on the lower canvas at some frames of a lane."""
    return front.get("raster").evaluate(
        """(element, [frames, lane, up]) => {
          const base = element.previousElementSibling;
          const { x0, x1, start, stop, lanes } = element.soupGeometry();
          const pen = scratch;
          pen.canvas.width = base.width;
          pen.canvas.height = base.height;
          pen.drawImage(base, 0, 0);
          const { top, bottom } = lanes[lane];
          const y = Math.round((top + up * (bottom - top)) * devicePixelRatio);
          return frames.map((frame) => {
            const x = x0 + (frame - start) / (stop - start) * (x1 - x0);
            return [...pen.getImageData(Math.floor(x * devicePixelRatio), y, 1, 1).data];
          });
        }""",
        [frames, lane, up],
    )


def test_short_bouts_stay_visible_in_a_long_trial(front):
    lanes = [{"behavior": 0, "rows": [{"on": [50_000, 50_001], "unknown": []}], "disagree": []}]
    front.open(frames=100_000, lanes=lanes, current=1)
    where = front.geometry()
    frame = (where["stop"] - where["start"]) / (where["x1"] - where["x0"])
    near = [50_000 + step * frame for step in (-8, 0, 1, 8)]
    colors = pixels(front, near, 0)
    assert [tuple(color) for color in colors].count((0, 0x72, 0xB2, 255)) >= 1
    assert colors[0][3] == colors[3][3] == 0


def test_a_long_trial_is_drawn_at_once(front):
    flat = [frame for i in range(1666) for frame in (60 * i, 60 * i + 27)]
    lanes = [
        {"behavior": i, "rows": [{"on": flat, "unknown": []}], "disagree": []} for i in range(6)
    ]
    front.open(frames=100_000, lanes=lanes)
    times = front.get("raster").evaluate("""async (element) => {
      const times = [];
      for (let i = 0; i < 30; i += 1) {
        await new Promise(requestAnimationFrame);
        const before = performance.now();
        element.soupPaint();
        times.push(performance.now() - before);
      }
      return times.sort((a, b) => a - b);
    }""")
    print(f"100,000 frames, {6 * 1666} bouts: {times[15]:.1f} ms median, {times[-2]:.1f} ms worst")
    assert times[15] < 50


# -------------------------------------------------------------------- frames


@pytest.mark.parametrize("dropping", [False, True])
def test_the_picture_is_always_the_frame_named(front, dropping):
    front.open(latency=[0, 120], dropping=dropping)
    front.watch()
    for key in ["ArrowRight"] * 12 + ["Shift+ArrowRight", "ArrowLeft", "]", "]", "["] * 8:
        front.press(key)
    front.page.mouse.click(*front.at(1200.5, 0))
    front.press("ArrowLeft", "Shift+ArrowRight")
    front.wait_frame(1209)
    drawn = front.drawn()
    assert drawn[-1] == 1209
    front.page.wait_for_function("fake.taken('playhead').at(-1).frame === 1209")
    wants = front.fake("taken('want')")
    assert all(want["view"] == "joined" and want["token"] == 1 for want in wants)


def test_the_latest_wanted_frame_is_drawn_and_those_before_it_are_not(front):
    front.open()
    front.page.evaluate("fake.holding = []")
    front.watch()
    for frame in (100, 200, 300, 400):
        front.page.mouse.click(*front.at(frame + 0.5, 0, 0.02))
    front.wait_for("fake.holding.length >= 4")
    front.page.evaluate("fake.release()")
    front.wait_frame(400)
    assert front.drawn() == [400]
    front.page.evaluate("fake.mute = ['want']")
    front.page.mouse.click(*front.at(200.5, 0, 0.02))  # it came too, and was kept
    front.wait_frame(200)


def test_no_more_than_three_prefetches_are_outstanding(front):
    front.open(latency=[20, 60])
    front.page.evaluate("""() => {
      window.pending = new Set(); window.most = 0;
      const { send_msg, say } = FakePython.prototype;
      fake.send_msg = (message) => {
        if (message.type === 'want' && message.urgent) pending.delete(message.frame);
        else if (message.type === 'want') pending.add(message.frame);
        most = Math.max(most, pending.size);
        send_msg.call(fake, message);
      };
      fake.say = (message) => {
        if (message.type === 'frame') pending.delete(message.frame);
        say.call(fake, message);
      };
    }""")
    front.press("Space")
    front.wait_for("fake.taken('want').length > 40")
    front.press("Space", *["ArrowRight"] * 10, *["Shift+ArrowLeft"] * 5)
    assert 1 <= front.page.evaluate("most") <= 3


def test_a_frame_that_does_not_come_is_asked_for_again(front):
    front.page.clock.install()
    front.open()
    front.page.evaluate("fake.mute = ['want']")
    front.page.mouse.click(*front.at(1000.5, 0, 0.02))
    front.wait_for("fake.taken('want').some((w) => w.frame === 1000 && w.urgent)")
    front.page.evaluate("fake.mute = []")
    front.page.clock.run_for(3600)
    front.wait_frame(1000)


def test_a_cached_frame_is_drawn_with_the_key(front):
    front.page.add_init_script(
        "window.addEventListener('keydown', () => { window.pressed = performance.now(); }, true)"
    )
    front.open()
    front.page.evaluate("""() => {
      window.waits = [];
      const canvas = host.shadowRoot.querySelector('[data-test="picture"]');
      new MutationObserver(() => waits.push(performance.now() - pressed))
        .observe(canvas, { attributeFilter: ['data-frame'] });
    }""")
    for frame in range(1, 21):
        front.press("ArrowRight")
        front.wait_frame(frame)
        front.page.wait_for_timeout(30)
    waits = sorted(front.page.evaluate("waits"))
    print(f"key to new frame, prefetched: {waits[10]:.1f} ms median, {waits[18]:.1f} ms p95")
    assert waits[10] < 16


def test_a_key_held_down_passes_no_frame_over(front):
    front.open(latency=[30, 60])
    front.watch()
    for _ in range(40):
        front.page.keyboard.down("ArrowRight")
    front.page.keyboard.up("ArrowRight")
    front.wait_for("drawn.length > 0")
    front.page.wait_for_timeout(200)
    drawn = front.drawn()
    assert drawn == list(range(1, len(drawn) + 1))


def test_a_step_asks_for_neighbours_and_a_view_for_its_own_frames(front):
    front.open()
    front.go(500)
    front.wait_for(
        "[497, 498, 499, 501, 502, 503].every((f) =>"
        " fake.taken('want').some((w) => w.frame === f && !w.urgent))"
    )
    front.get("view").select_option("side")
    front.page.locator('[data-test="picture"][data-view="side"][data-frame="500"]').wait_for()
    size = front.get("picture").evaluate("canvas => [canvas.width, canvas.height]")
    assert size == [176, 130]
    assert front.get("page").get_attribute("data-trial") == "M1/S1/1"


def test_the_picture_can_be_looked_at_closely(front):
    front.open()
    box = front.get("picture").bounding_box()
    point = box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"]
    front.page.mouse.move(*point)
    front.page.mouse.wheel(0, -400)
    front.get("lens").wait_for()
    large = front.get("picture").bounding_box()
    assert large["width"] > 1.5 * box["width"]
    # What was under the mouse still is.
    assert (point[0] - large["x"]) / large["width"] == pytest.approx(0.7, abs=0.01)
    front.drag(point, (point[0] + 40, point[1]))
    assert front.get("picture").bounding_box()["x"] == pytest.approx(large["x"] + 40, abs=2)
    front.get("lens").click()
    assert front.get("picture").bounding_box() == box


def test_a_broken_frame_says_so_and_the_next_is_shown(front):
    front.open(broken=3)
    front.go(2)
    front.press("ArrowRight")
    front.get("trouble").filter(has_text="Frame 3 cannot be shown: damaged").wait_for()
    assert front.frame() == 3
    front.press("ArrowRight")
    front.wait_frame(4)
    assert front.get("trouble").is_hidden()


def test_a_broken_video_leaves_the_ethogram(front):
    front.open(error="moov atom not found")
    front.get("trouble").filter(has_text="moov atom not found").wait_for()
    front.page.mouse.click(*front.at(700.5, 2))
    front.press("1")
    assert front.names() == [("current", 2), ("mark", 1)]
    front.get("position").filter(has_text="frame 700 /").wait_for()
    assert front.fake("taken('want')") == []


# -------------------------------------------------------------------- playing


def test_playing_draws_every_frame_in_order_and_pauses_on_the_one_shown(front):
    front.open(latency=[0, 20])
    front.watch()
    front.press("Space")
    front.wait_past(30)
    front.press("Space")
    drawn = front.drawn()
    assert drawn == list(range(1, len(drawn) + 1))
    times = front.page.evaluate("drawn.map((d) => d.at)")
    rate = 1000 * (len(times) - 1) / (times[-1] - times[0])
    assert rate < 34
    assert front.frame() == drawn[-1]
    wants = front.fake("taken('want')")
    assert any(want["direction"] == 1 for want in wants)


def test_playing_waits_for_frames_rather_than_skip(front):
    front.open(latency=[60, 90])
    front.watch()
    front.get("play").click()
    front.wait_past(15)
    front.get("play").click()
    drawn = front.drawn()
    assert drawn == list(range(1, len(drawn) + 1))


def test_real_time_skips_frames_and_never_goes_back(front):
    front.open(frames=100_000, fps=500)
    front.get("speed").select_option("real")
    front.watch()
    front.press("Space")
    front.wait_for("drawn.length > 20")
    front.press("Space")
    drawn = front.drawn()
    assert drawn == sorted(drawn)
    assert drawn[-1] - drawn[0] > 2 * len(drawn)


#: Two seconds of playing on a screen of 60 Hz, each picture arriving so long after it was due.
TWO_SECONDS = """([rate, late]) => {
  const clock = clockFor(rate);
  const drawn = [];
  let shown = 0;
  clock.restart?.(0, 0);
  for (let now = 0; now <= 2000; now += 1000 / 60) {
    const isReady = (frame) => now >= (1000 * frame) / rate + late;
    const frame = clock.next(now, shown, (from, count) => from + count, isReady);
    if (frame === null || !(clock instanceof EveryFrame || isReady(frame))) continue;
    shown = frame;
    drawn.push(frame);
    clock.drawn(now);
  }
  return drawn;
}"""


@pytest.mark.parametrize("rate", [2, 7.5, 30, 60, 125, 500, 2000])
@pytest.mark.parametrize("late", [0, 40])
def test_playing_holds_its_pace(browser, rate, late):
    with browser.new_page() as page:
        page.add_script_tag(path=js.FOLDER / "clock.js")
        drawn = page.evaluate(TWO_SECONDS, [rate, late])
    assert drawn == sorted(drawn)
    assert len(drawn) <= 121
    stride = max(rate / (8 if late else 60), 1)
    assert drawn[-1] == pytest.approx(2 * rate - rate * late / 1000, abs=3 * stride)
    if rate <= 60:
        assert drawn == list(range(1, len(drawn) + 1))


def test_the_region_is_looped(front):
    front.open(region=[100, 105])
    front.get("loop").click()
    front.watch()
    front.press("Space")
    front.wait_for("drawn.length > 12")
    front.press("Space")
    drawn = front.drawn()
    assert drawn[:6] == [100, 101, 102, 103, 104, 100]
    assert set(drawn) == set(range(100, 105))


def test_playing_stops_at_the_end(front):
    front.open(frames=20)
    front.press("Space")
    front.wait_frame(19)
    front.get("play").and_(front.page.get_by_label("Play")).wait_for()
    front.watch()
    front.press("Space")
    front.wait_for("drawn.length > 0 && drawn[0].named === 0")


def test_what_was_watched_is_told_before_an_edit(front):
    front.open()
    front.press("Space")
    front.wait_past(10)
    front.press("Space", "1")
    sent = front.fake("sent")
    kinds = [message["type"] for message in sent]
    edit = kinds.index("action")
    watched = [m for m in sent[:edit] if m["type"] == "watched"]
    covered = {frame for m in watched for frame in range(m["start"], m["stop"])}
    assert covered == set(range(front.frame() + 1))
    playheads = [m["frame"] for m in sent[:edit] if m["type"] == "playhead"]
    assert playheads[-1] == front.frame()


def test_messages_about_another_trial_are_not_for_this_one(front):
    front.open()
    front.press("n")
    root = front.get("page").and_(front.page.locator('[data-trial="M1/S1/2"]'))
    root.wait_for()
    front.wait_frame(0)
    front.page.evaluate("fake.say({ type: 'goto', token: 1, frame: 50 })")
    front.page.evaluate("fake.say({ type: 'edit', token: 1, current: 5, region: [1, 2] })")
    assert root.get_attribute("data-current") == "0"
    front.say(type="goto", frame=60)
    front.wait_frame(60)
    assert front.get("picture").get_attribute("data-token") == "2"


@pytest.mark.parametrize(
    ("typed", "frame"), [("1200", 1200), ("1.5s", 45), ("2.5", 75), ("3 s", 90), ("99999", 2499)]
)
def test_jumps_to_a_frame_or_a_time(front, typed, frame):
    front.open()
    front.get("jump").fill(typed)
    front.page.keyboard.press("Enter")
    front.wait_frame(frame)
    front.press("1")
    assert front.names() == [("mark", 1)]  # the keys are the page's again


def test_a_jump_to_nowhere_says_so(front):
    front.open()
    front.get("jump").fill("soon")
    front.page.keyboard.press("Enter")
    assert front.get("jump").get_attribute("aria-invalid") == "true"
    assert front.frame() == 0


# -------------------------------------------------------------------- trials


def opened(front):
    return front.fake("sent.splice(0).filter((m) => m.type === 'open').map((m) => m.key)")


def test_trials_open_by_click_buttons_and_keys(front):
    front.open()
    front.page.locator('[data-test="trial"][data-key="M1/S1/4"]').click()
    front.get("next").click()
    front.get("previous").click()
    front.press("n", "n", "p")
    assert opened(front) == [f"M1/S1/{i}" for i in (4, 5, 4, 5, 6, 5)]


def test_next_and_previous_follow_order_and_filter(front):
    front.open(trials=40)
    front.get("sort").select_option("unlabelled")
    front.get("filter").fill("s1/1")
    front.press("Escape")
    # Trials 1, 10 … 19; of them 1, 10, 13, 16, 19 are labelled and come last.
    for key in ("p", "p"):
        front.press(key)
    assert opened(front) == ["M1/S1/18", "M1/S1/17"]
    front.get("filter").fill("is:failed")
    front.press("Escape", "n", "n")
    assert opened(front) == ["M1/S1/20", "M1/S1/30"]
    front.get("filter").fill("nothing like it")
    front.press("Escape", "n")
    assert opened(front) == []
    assert front.get("trial").count() == 0


def test_in_a_review_next_goes_to_the_next_stretch(front):
    front.open(review=True)
    front.press("n", "p")
    front.get("next").click()
    assert front.names() == [("stretch", 1), ("stretch", -1), ("stretch", 1)]
    front.say(type="review", done=0.25, text="5 of 20 stretches")
    front.get("review").filter(has_text="5 of 20 stretches").wait_for()
    assert front.get("review").get_attribute("aria-valuenow") == "25"
    front.say(type="review", done=1, text="100% of frames, 100% of doubt reviewed")
    front.get("review").filter(has_text="doubt reviewed").wait_for()
    assert front.get("review").evaluate("(bar) => bar.scrollWidth <= bar.clientWidth")


def test_ten_thousand_trials_stay_quick(front):
    front.open(trials=10_000)
    assert front.get("trial").count() < 100
    front.get("trials").evaluate("list => { list.scrollTop = 5000 * 50; }")
    front.page.locator('[data-key="M51/S1/5001"]').wait_for()
    assert front.get("trial").count() < 100
    spent = front.get("filter").evaluate("""(box) => {
      const before = performance.now();
      box.value = "m7 99";
      box.dispatchEvent(new Event("input"));
      return performance.now() - before;
    }""")
    print(f"filter of 10,000 trials: {spent:.1f} ms")
    assert spent < 200
    front.get("count").filter(has_text="of 10\u202f000 trials").wait_for()


def test_a_refresh_keeps_scroll_filter_and_choice(front):
    front.open(trials=500)
    front.get("filter").fill("m3")
    front.get("trials").evaluate("list => { list.scrollTop = 1500; }")
    front.page.locator('[data-key="M3/S1/235"]').wait_for()
    front.page.evaluate("fake.sayTrials()")
    assert front.get("filter").input_value() == "m3"
    assert front.get("trials").evaluate("list => list.scrollTop") == 1500
    assert front.page.locator('[data-key="M3/S1/235"]').is_visible()


def test_a_refresh_leaves_rows_where_they_are(front):
    front.open()
    front.get("sort").select_option("unlabelled")
    first = front.get("trial").first.get_attribute("data-key")
    assert first == "M1/S1/2"
    front.page.evaluate("""() => {
      const { say } = fake;
      fake.say = (m) => say.call(fake, { ...m, labelled: m.labelled.map(() => 1) });
      fake.sayTrials();
      fake.say = say;
    }""")
    front.get("trial").first.get_by_label("labelled", exact=True).wait_for()
    assert front.get("trial").first.get_attribute("data-key") == first


def test_arrow_keys_walk_the_list(front):
    front.open()
    front.get("trials").focus()
    front.press("ArrowDown", "ArrowDown", "ArrowUp")
    assert opened(front) == ["M1/S1/2", "M1/S1/3", "M1/S1/2"]
    selected = front.page.locator('[data-test="trial"][aria-selected="true"]')
    front.page.locator('[data-key="M1/S1/2"][aria-selected="true"]').wait_for()
    assert selected.count() == 1


# -------------------------------------------------------------------- around it


def test_controls_are_drawn_and_asked_for(front):
    options = [{"value": 1, "label": "one"}, {"value": 2, "label": "two"}]
    front.open(
        controls=[
            {"id": "mode", "kind": "select", "label": "Mode", "options": options, "value": 1},
            {"id": "curves", "kind": "toggle", "label": "Probability", "value": False},
            {"id": "fill", "kind": "button", "label": "Fill", "hint": "the rest"},
        ]
    )
    front.get("control-mode").select_option("2")
    front.get("control-curves").click()
    front.get("control-curves").click()
    front.get("control-fill").click()
    chosen = [(m["id"], m["value"]) for m in front.fake("taken('choose')")]
    assert chosen == [("mode", 2), ("curves", True), ("curves", False), ("fill", True)]
    front.press("1")
    assert ("mark", 1) in front.names()
    front.say(type="controls", controls=[])
    assert front.get("control-mode").count() == 0


def test_curves_and_messages(front):
    front.open(editor="view")
    x = list(range(0, 2500, 5))
    y = [0.5 + 0.4 * (-1) ** (i // 50) for i in range(500)]
    before = front.get("raster").evaluate("e => e.previousElementSibling.toDataURL()")
    front.say(type="curves", curves=[{"behavior": 1, "x": x, "y": y, "threshold": 0.6}])
    changed = "e => host.shadowRoot.querySelector('.layer').toDataURL() !== e"
    front.wait_for(changed, arg=before)
    front.say(type="curves", curves=[])
    front.wait_for(changed.replace("!==", "==="), arg=before)
    note = {"type": "ethogram", "version": 3, "rows": [], "lanes": [], "full": True}
    front.say(**note, message="medium: not inferred yet")
    front.get("message").filter(has_text="medium: not inferred yet").wait_for()


def test_only_the_lanes_named_change(front):
    front.open()
    rows = [{"on": [900, 990], "unknown": []}]
    front.say(
        type="ethogram",
        version=7,
        rows=[{"id": "cleaned", "label": "cleaned", "editable": True, "faded": False}],
        lanes=[{"behavior": 0, "rows": rows}],
        full=False,
    )
    front.page.locator('[data-test="page"][data-version="7"]').wait_for()
    assert pixels(front, [950, 1100], 0)[0] == [0, 0x72, 0xB2, 255]
    assert pixels(front, [1100], 0)[0] != [0, 0x72, 0xB2, 255]
    assert pixels(front, [1200], 1)[0] == [0xE6, 0x9F, 0, 255]


def test_undo_and_redo_buttons_follow_what_can_be_undone(front):
    front.open()
    assert front.get("undo").is_disabled()
    front.press("1")
    front.page.locator('[data-test="undo"]:not([disabled])').click()
    assert front.names() == [("mark", 1), ("undo",)]
    front.page.locator('[data-test="page"][data-version="1"]').wait_for()


def background(front):
    return front.get("page").evaluate("e => getComputedStyle(e).backgroundColor")


def test_light_and_dark_follow_the_system_until_somebody_chooses(front):
    front.page.emulate_media(color_scheme="light")
    front.open()
    light = background(front)
    bar = pixels(front, [1100], 0)
    front.page.emulate_media(color_scheme="dark")
    front.page.locator('[data-test="page"][data-theme="dark"]').wait_for()
    assert background(front) != light
    front.wait_for("host.shadowRoot.querySelector('.raster') !== null")
    front.get("theme").click()
    front.page.locator('[data-test="page"][data-theme="light"]').wait_for()
    assert background(front) == light
    until(lambda: pixels(front, [1100], 0) == bar)


def test_a_lost_connection_says_so_and_blocks_editing(front):
    front.page.clock.install()
    front.open(region=[500, 600])
    front.actions()
    front.page.evaluate("fake.mute = ['ping', 'action', 'want']")
    front.page.clock.run_for(7000)
    front.get("banner").filter(has_text="Connection to soupxr lost").wait_for()
    front.press("1", "i", "Control+z", "s")
    front.drag(front.at(1000, 3), front.at(1050, 3))
    front.drag(front.at(600, 4), front.at(700, 4))
    front.drag(front.at(1300, 0), front.at(1400, 0))
    assert front.names() == []
    front.page.evaluate("fake.mute = []")
    front.page.clock.run_for(2500)
    front.get("banner").wait_for(state="hidden")
    front.press("1")
    assert front.names() == [("mark", 1)]


def test_a_hidden_page_raises_no_alarm(front):
    front.page.clock.install()
    front.open()
    # Only the time that the test lets go by goes by.
    front.page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))
    front.page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true });
      window.away = true;
      fake.mute = ['ping'];
    }""")
    front.page.clock.run_for(60_000)
    assert front.get("banner").is_hidden()
    front.page.evaluate("""() => {
      window.away = false;
      document.dispatchEvent(new Event('visibilitychange'));
    }""")
    front.page.clock.run_for(3000)
    assert front.get("banner").is_hidden()
    front.page.clock.run_for(4000)
    front.get("banner").wait_for()


def test_a_closed_socket_is_noticed_at_once(front):
    front.page.goto(ORIGIN)
    front.page.add_script_tag(content=FAKE)
    front.page.evaluate(
        """([source, style]) => {
      FakePython.prototype.document = {
        on_event: (name, act) => { window[name] = act; },
      };
      return start(source, style, {});
    }""",
        [js.source(), js.style()],
    )
    front.wait_frame(0)
    front.page.evaluate("connection_lost()")
    front.get("banner").wait_for()


def test_a_conflict_is_resolved_one_way_or_the_other(front):
    front.open()
    front.say(type="saved", state="conflict", text="Ben saved this trial meanwhile", version=4)
    front.get("conflict").filter(has_text="Ben saved this trial meanwhile").wait_for()
    front.get("conflict-reload").click()
    front.get("conflict-save-as").click()
    name = front.get("conflict-name")
    name.press_sequentially("Ana 123")
    front.press("Enter")
    sent = [{k: v for k, v in m.items() if k != "token"} for m in front.fake("taken('resolve')")]
    assert sent == [
        {"type": "resolve", "how": "reload"},
        {"type": "resolve", "how": "save_as", "annotator": "Ana 123"},
    ]
    assert front.names() == []
    front.say(type="saved", state="saved", text="Saved", version=5)
    front.get("conflict").wait_for(state="hidden")


def test_a_failed_save_says_why_until_it_is_saved(front):
    front.open()
    front.say(type="saved", state="failed", text="Not saved: the disk is full", version=1)
    for state, shown in [("saving", True), ("failed", True), ("saved", False)]:
        front.say(type="saved", state=state, text="Not saved: the disk is full", version=1)
        assert front.get("failed").is_visible() == shown
    assert front.get("saved").get_attribute("data-state") == "saved"


def test_notices_can_be_dismissed(front):
    front.open()
    front.say(type="notice", text="Nothing is selected", kind="info")
    front.say(type="notice", text="Nothing is selected", kind="info")
    assert front.get("notice").count() == 1
    front.get("notice-dismiss").click()
    assert front.get("notice").count() == 0


def test_leaving_with_unsaved_edits_asks_first(front):
    asked = []
    front.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    front.open()
    front.say(type="saved", state="failed", text="disk full", version=1)
    front.page.mouse.click(*front.at(500, 0))  # browsers ask only who has touched the page
    front.page.reload()
    assert asked == ["beforeunload"]


def test_is_usable_in_a_narrow_cell_of_a_notebook(front):
    front.page.set_viewport_size({"width": 700, "height": 900})
    front.open(embedded=True)
    for test in ("picture", "raster", "filter", "play", "saved"):
        box = front.get(test).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 700


@pytest.mark.parametrize("size", [(1280, 720), (1280, 960), (3840, 2160)])
@pytest.mark.parametrize("editor", ["view", "clean", "manual", "compare"])
def test_everything_is_in_sight(front, editor, size):
    width, height = size
    front.page.set_viewport_size({"width": width, "height": height})
    front.open(editor=editor)
    for test in ("picture", "raster", "play", "legend", "trials"):
        box = front.get(test).bounding_box()
        assert box["y"] + box["height"] <= height + 1, test
    assert front.get("picture").bounding_box()["height"] > 0.25 * height


def test_the_divider_gives_height_to_one_or_the_other(front):
    front.page.set_viewport_size({"width": 1280, "height": 960})
    front.open()
    before = front.get("raster").bounding_box()["height"]
    box = front.get("split").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    front.drag(middle, (middle[0], middle[1] + 60))
    after = front.get("raster").bounding_box()["height"]
    assert after == pytest.approx(before - 60, abs=3)
    front.get("split").focus()
    front.press("ArrowUp")
    front.wait_for(
        f"host.shadowRoot.querySelector('[data-test=raster]').offsetHeight > {after + 10}"
    )
    front.get("split").dblclick()
    front.wait_for(
        f"Math.abs(host.shadowRoot.querySelector('[data-test=raster]').offsetHeight - {before}) < 2"
    )


def test_a_page_drawn_anew_takes_the_old_ones_place(front):
    front.open()
    front.page.evaluate("renderAgain()")
    front.wait_for("fake.taken('ready').length === 2")
    assert front.get("page").count() == 1
    front.wait_frame(0)
    front.actions()
    front.press("1")
    assert front.names() == [("mark", 1)]
