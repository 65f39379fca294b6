// The page: puts the parts together, hands messages on, and knows what may be done now.

const EDITORS = new Set(["clean", "manual"]);
const UNSAVED = new Set(["saving", "failed", "conflict"]);
const SPOKEN_MS = 800;
/** What a page that has lost its server says in place of "Saved". */
const NOT_CONNECTED = { state: "idle", text: "Not connected" };
const NOBODY = { name: "", light: "#777777", dark: "#999999" };

class Page {
  constructor(model, el) {
    this.hello = { editor: "view", behaviors: [], review: false };
    this.trial = null;
    this.edit = null;
    this.state = "idle";
    this.saved = { state: "idle" };
    this.link = new Link(model, (message) => this.receive(message), (lost) => this.setLost(lost));
    this.buildParts();
    this.build(el);
    this.watched = new Watched(this.link);
    this.order = new InOrder(() => this.link.isAnswered);
    this.keys = new Keys(this.root, makeCommands(this), this.order);
    this.onLeave = (event) => this.leave(event);
    window.addEventListener("beforeunload", this.onLeave);
  }

  // ------------------------------------------------------------------ parts

  buildParts() {
    const act = (name, fields) => this.act(name, fields);
    const go = (frame) => this.go(frame);
    this.raster = new Raster({ drawn: (version) => this.drawn(version) });
    this.pointer = new RasterPointer(this.raster, {
      go,
      act,
      may: { select: () => this.trial !== null && !this.link.lost, edit: () => this.canEdit },
      takesWheel: () => this.keys.armed,
    });
    this.player = new Player(this.link, {
      shown: (frame, watched) => this.shown(frame, watched),
      region: () => this.raster.region,
      reshaped: () => this.layout.share(),
      takesWheel: () => this.keys.armed,
    });
    this.trials = new Trials({
      open: (key) => this.link.send("open", { key }),
      canOpen: () => !this.link.lost,
      step: (step) => this.stepTrial(step),
    });
    this.header = new Header({
      act,
      choose: (id, value) => this.choose(id, value),
      zoom: (factor) => this.raster.zoom(factor),
      whole: () => this.raster.showWhole(),
    });
    this.alerts = new Alerts({
      reload: () => this.reload(),
      resolve: (fields) => this.link.lost || this.link.sendTrial("resolve", fields),
    });
    this.review = new Review();
  }

  build(el) {
    this.root = make("div", { class: "soupxr", "data-test": "page" });
    this.theme = new Theme(this.root, () => this.restyle());
    this.title = make("h1", { text: "soupxr" });
    this.live = make("div", { class: "unseen", "aria-live": "polite", "data-test": "live" });
    this.legend = makeLegend([]);
    this.main = make("main");
    const { root, main, player, raster } = this;
    this.layout = new Layout({ root, main, player, raster });
    const props = { class: "card ethogram", "aria-label": "Ethogram" };
    const inside = [this.layout.split, this.header.element, this.raster.element];
    const card = make("section", props, ...inside);
    this.main.append(this.alerts.element, this.player.element, card, this.legend);
    this.root.append(this.buildSide(), this.main, this.live);
    el.append(this.root);
    this.root.addEventListener("pointerdown", (event) => this.keepFocus(event));
    this.root.addEventListener("change", (event) => this.giveBackKeys(event));
    this.layout.observe(this.root, this.legend, this.header.element, this.alerts.element);
    this.layout.resize();
  }

  buildSide() {
    const fold = iconButton("sidebar", "Hide or show the trials", "fold", () => this.fold());
    const head = make("header", { class: "row" }, this.title, this.theme.button, fold);
    const props = { class: "card side", "aria-label": "Trials" };
    return make("nav", props, head, this.review.element, this.trials.element);
  }

  fold() {
    this.root.toggleAttribute("data-folded");
  }

  /** A click on a button or select leaves the keys with the page; Tab still reaches each. */
  keepFocus(event) {
    const target = event.composedPath()[0];
    if (target instanceof Element && target.closest("button") !== null) event.preventDefault();
    this.clicked = target instanceof Element && target.closest("select");
  }

  giveBackKeys(event) {
    if (event.target === this.clicked) event.target.blur();
  }

  restyle() {
    this.raster.setTheme();
    this.showEdit();
  }

  // ------------------------------------------------------------------ what Python says

  receive(message) {
    const { token } = message;
    const handler = HANDLERS[message.type];
    if (handler === undefined) return;
    if (token !== undefined && message.type !== "trial" && token !== this.link.token) return;
    handler(this, message);
  }

  setHello(hello) {
    this.hello = hello;
    const { behaviors = [], modes = [], controls = [], keys = [] } = hello;
    this.title.textContent = hello.title;
    this.title.title = hello.title;
    this.root.dataset.editor = hello.editor;
    this.raster.setBehaviors(behaviors);
    this.trials.setModes(modes);
    this.header.setControls(controls);
    this.header.setEditor(EDITORS.has(hello.editor));
    this.keys.setEmbedded(Boolean(hello.embedded));
    this.root.toggleAttribute("data-embedded", this.keys.embedded);
    this.setLegend(keys);
  }

  setLegend(keys) {
    const legend = makeLegend(keys);
    this.legend.replaceWith(legend);
    this.legend = legend;
    this.layout.observe(legend);
  }

  setTrial(trial) {
    this.watched.clear();
    this.link.token = trial.token;
    this.link.answer();
    this.order.clear();
    this.trial = trial;
    this.edit = null;
    this.pointer.cancel();
    this.raster.openTrial(trial);
    this.player.open(trial);
    this.trials.setCurrent(trial.key);
    this.root.dataset.trial = trial.key;
    delete this.root.dataset.version;
    this.layout.share();
    this.root.dataset.ready = "true";
  }

  setEdit(edit) {
    this.edit = edit;
    this.raster.setEdit(edit);
    this.showEdit();
    this.root.dataset.current = edit.current;
    this.root.dataset.region = edit.region === null ? "" : edit.region.join("-");
    this.speak();
  }

  showEdit() {
    if (this.edit === null || this.trial === null) return;
    const behavior = this.hello.behaviors[this.edit.current] || NOBODY;
    this.header.setEdit(this.edit, behavior, this.theme.dark, this.trial.fps);
  }

  setActed(seq) {
    this.link.answer(seq);
    this.order.goOn();
  }

  setEthogram(message) {
    this.raster.setEthogram(message);
    this.layout.share();
  }

  setSaved(saved) {
    this.state = saved.state;
    this.saved = saved;
    this.header.setSaved(saved);
    this.alerts.setSaved(saved);
    this.speak();
  }

  setFrame(message) {
    if (message.view === this.player.view) this.player.frames.receive(message);
  }

  drawn(version) {
    if (version !== null) this.root.dataset.version = version;
  }

  setLost(lost) {
    this.alerts.setLost(lost);
    this.root.toggleAttribute("data-lost", lost);
    this.header.setSaved(lost ? NOT_CONNECTED : this.saved);
    this.speak();
    if (!lost) return;
    this.pointer.cancel();
    this.link.answer();
    this.order.clear();
  }

  // ------------------------------------------------------------------ what people do

  get canEdit() {
    const { trial, hello, link } = this;
    return trial !== null && EDITORS.has(hello.editor) && !trial.read_only && !link.lost;
  }

  /** Send an action, after what it may depend on: where the playhead is and what was watched. */
  act(name, fields = {}) {
    if (this.trial === null || this.link.lost) return;
    this.watched.flush();
    this.player.tellPlayhead.flush();
    this.link.action(name, fields);
  }

  actIfEditing(name, fields) {
    if (this.canEdit) this.act(name, fields);
  }

  choose(id, value) {
    if (this.link.lost) return;
    this.watched.flush();
    this.link.send("choose", { id, value });
  }

  go(frame) {
    this.player.jump(frame);
  }

  stepTrial(step) {
    if (this.hello.review) this.act("stretch", { step });
    else this.trials.open(this.trials.neighbour(step));
  }

  // ------------------------------------------------------------------ frames that were shown

  shown(frame, watched) {
    this.raster.setPlayhead(frame);
    if (watched) this.watched.note(frame);
    if (!this.player.playing) this.speak();
  }

  /** Say for screen readers what is on screen, once things have come to rest. */
  speak() {
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => {
      const { current, region, saved } = this.header;
      const parts = [current, this.player.controls.position, region, saved];
      const text = parts.map((part) => part.textContent).filter(Boolean).join(", ");
      this.live.textContent = text;
      this.raster.top.setAttribute("aria-label", `Ethogram of ${this.root.dataset.trial}. ${text}`);
    }, SPOKEN_MS);
  }

  // ------------------------------------------------------------------ leaving

  leave(event) {
    if (!UNSAVED.has(this.state)) return;
    event.preventDefault();
    event.returnValue = true;
  }

  reload() {
    window.removeEventListener("beforeunload", this.onLeave);
    window.location.reload();
  }

  close() {
    window.removeEventListener("beforeunload", this.onLeave);
    clearTimeout(this.speaking);
    this.watched.clear();
    const { keys, layout, player, raster, trials, theme, link } = this;
    for (const part of [keys, layout, player, raster, trials, theme, link]) part.close();
    this.root.remove();
  }
}

const HANDLERS = {
  hello: (page, message) => page.setHello(message),
  controls: (page, { controls }) => page.header.setControls(controls),
  trials: (page, message) => page.trials.setTable(message),
  trial: (page, message) => page.setTrial(message),
  ethogram: (page, message) => page.setEthogram(message),
  edit: (page, message) => page.setEdit(message),
  acted: (page, { seq }) => page.setActed(seq),
  curves: (page, { curves }) => page.raster.setCurves(curves),
  saved: (page, message) => page.setSaved(message),
  frame: (page, message) => page.setFrame(message),
  goto: (page, { frame }) => page.go(frame),
  notice: (page, message) => page.alerts.notice(message),
  review: (page, message) => page.review.set(message),
};

const PAGES = new WeakMap();

/** Fill `el` with the page; a model that is drawn anew gets a new page in the old one's place. */
export function render({ model, el }) {
  const old = PAGES.get(model);
  if (old !== undefined) old.close();
  const page = new Page(model, el);
  PAGES.set(model, page);
  model.on("remove", () => page.close());
  page.link.open();
}
