// The ethogram: what is known of it, its two canvases (bars below, what moves above) and its card.

const NO_STRETCHES = new Int32Array(0);

const toInts = (flat) => (flat === undefined || flat === null ? NO_STRETCHES : Int32Array.from(flat));

class Raster {
  /** @param {object} told `drawn(version)` after the bars have been drawn anew. */
  constructor(told) {
    this.told = told;
    this.scale = new Scale();
    this.behaviors = [];
    this.fps = 0;
    this.height = 100;
    this.ink = null;
    this.frameRequest = null;
    this.build();
    this.clear();
  }

  // ------------------------------------------------------------------ elements

  build() {
    this.base = make("canvas", { class: "layer", "aria-hidden": "true" });
    this.top = make("canvas", { class: "layer top", "data-test": "raster", role: "img" });
    this.top.soupGeometry = () => this.geometry();
    this.top.soupPaint = () => this.paint();
    this.tip = make("div", { class: "tip", "data-test": "tooltip", hidden: true });
    this.note = make("div", { class: "note", "data-test": "message", hidden: true });
    this.element = make("div", { class: "raster" }, this.base, this.top, this.note, this.tip);
    this.resizes = new ResizeObserver(() => this.refresh());
    this.resizes.observe(this.element);
    this.whenDense = () => this.refresh();
    window.addEventListener("resize", this.whenDense);
  }

  close() {
    this.resizes.disconnect();
    window.removeEventListener("resize", this.whenDense);
    cancelAnimationFrame(this.frameRequest);
  }

  // ------------------------------------------------------------------ what is known

  /** Forget the trial. */
  clear() {
    this.rows = [];
    this.lanes = [];
    this.curves = [];
    this.agreement = new Map();
    this.seen = NO_STRETCHES;
    this.region = null;
    this.current = 0;
    this.playhead = null;
    this.version = null;
    this.hover = null;
    this.edge = null;
    this.grip = null;
    this.draftRegion = undefined;
    this.preview = null;
    this.held = false;
    this.place = null;
  }

  openTrial(trial) {
    this.clear();
    this.fps = trial.fps;
    this.scale.setFrames(trial.n_frames);
    this.setNote(null);
    this.refresh();
  }

  setBehaviors(behaviors) {
    this.behaviors = behaviors;
    this.refresh();
  }

  setEthogram(message) {
    const lanes = message.lanes.map((lane) => this.readLane(lane));
    const before = [this.lanes.length, this.rows.length];
    if (message.full) {
      this.lanes = lanes;
    } else {
      const news = new Map(lanes.map((lane) => [lane.behavior, lane]));
      this.lanes = this.lanes.map((lane) => news.get(lane.behavior) || lane);
    }
    this.rows = message.rows || this.rows;
    this.version = message.version;
    this.preview = null;
    this.hover = null;
    if (!this.held) this.edge = null;
    // What lies where is known again once it has been drawn.
    if (before[0] !== this.lanes.length || before[1] !== this.rows.length) this.place = null;
    if (message.message !== undefined) this.setNote(message.message);
    this.refresh();
  }

  readLane({ behavior, rows, disagree }) {
    const read = ({ on, unknown }) => ({ on: toInts(on), unknown: toInts(unknown) });
    return { behavior, rows: rows.map(read), disagree: toInts(disagree) };
  }

  setNote(text) {
    this.note.textContent = text || "";
    this.note.hidden = !text;
  }

  setEdit(edit) {
    this.current = edit.current;
    this.region = edit.region;
    if (!this.held) this.dropDrafts();
    if (edit.seen) this.seen = toInts(edit.seen);
    if (edit.agreement) {
      this.agreement = new Map(edit.agreement.map(({ behavior, text }) => [behavior, text]));
    }
    this.refresh();
  }

  /** Show again what Python says, not what is under the mouse. */
  dropDrafts() {
    this.draftRegion = undefined;
    this.preview = null;
    this.refresh();
  }

  setCurves(curves) {
    this.curves = curves;
    this.refresh();
  }

  setPlayhead(frame) {
    this.playhead = frame;
    if (!this.held && this.scale.reveal(frame)) this.refresh();
    else this.paintTop();
  }

  /** Region on screen: the one under the mouse, else the one that Python knows. */
  get shownRegion() {
    return this.draftRegion === undefined ? this.region : this.draftRegion;
  }

  get editableRow() {
    return this.rows.findIndex((row) => row.editable);
  }

  /** Bouts of a behavior in the row that is edited, or else the first. */
  bouts(behavior) {
    const lane = this.lanes.find((one) => one.behavior === behavior);
    if (lane === undefined || lane.rows.length === 0) return NO_STRETCHES;
    return lane.rows[Math.max(this.editableRow, 0)].on;
  }

  disagreements() {
    const pairs = this.lanes.flatMap(({ disagree }) => pairsOf(disagree));
    return Int32Array.from(mergeStretches(pairs).flat());
  }

  // ------------------------------------------------------------------ zoom

  zoom(factor, x) {
    const { x0, x1 } = this.scale;
    const head = this.playhead === null ? -1 : this.scale.x(this.playhead + 0.5);
    const middle = head >= x0 && head <= x1 ? head : (x0 + x1) / 2;
    this.scale.zoom(factor, x === undefined ? middle : x);
    this.refresh();
  }

  pan(frames) {
    this.scale.pan(frames);
    this.refresh();
  }

  showWhole() {
    this.scale.showAll();
    this.refresh();
  }

  // ------------------------------------------------------------------ layout

  /** Height of the canvas in CSS pixels, which the lanes share. */
  setHeight(height) {
    if (height === this.height) return;
    this.height = height;
    this.element.style.height = `${height}px`;
    this.refresh();
  }

  /** Least, good and greatest heights of the canvas for what there is to show. */
  heights(unit) {
    return rasterHeights(this.lanes.length, this.rows.length, unit);
  }

  geometry() {
    if (this.place === null) this.paint();
    const { lanes, x0, x1 } = this.place;
    const { start, stop } = this.scale;
    return { x0, x1, start, stop, lanes: lanes.map((lane) => ({ ...lane })) };
  }

  // ------------------------------------------------------------------ drawing

  /** Draw everything before the next picture of the screen. */
  refresh() {
    if (this.frameRequest !== null) return;
    this.frameRequest = requestAnimationFrame(() => {
      this.frameRequest = null;
      this.paint();
    });
  }

  setTheme() {
    this.ink = null;
    this.refresh();
  }

  paint() {
    if (this.element.clientWidth === 0) return;
    if (this.ink === null) this.ink = readInk(this.element);
    this.place = placeRaster(this, this.ink, this.base.getContext("2d"));
    this.scale.setPlace(this.place.x0, this.place.x1);
    this.fit();
    new Painter(this.base.getContext("2d"), this, this.place, this.ink, this.ratio).paintBase();
    this.paintTop();
    this.told.drawn(this.version);
  }

  fit() {
    this.ratio = window.devicePixelRatio || 1;
    const { width, height } = this.place;
    for (const canvas of [this.base, this.top]) {
      const [across, down] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
      if (canvas.width !== across) canvas.width = across;
      if (canvas.height !== down) canvas.height = down;
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
  }

  paintTop() {
    if (this.place === null || this.ink === null) return;
    const { seen, hover, edge, grip, playhead } = this;
    const pen = this.top.getContext("2d");
    const painter = new OverlayPainter(pen, this, this.place, this.ink, this.ratio);
    painter.paintOverlay({ seen, hover, edge, grip, playhead, region: this.shownRegion });
  }
}
