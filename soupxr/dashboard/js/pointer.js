// Mouse and touch on the raster: which gesture is going on, wheel, and what a hover shows.

const DRAG_PX = 4;
/** What was dragged is shown for so long while Python has not answered. */
const ANSWER_MS = 2000;
const CURSORS = {
  grip: "ew-resize",
  edge: "ew-resize",
  name: "pointer",
  axis: "grab",
  strip: "grab",
  lane: "crosshair",
};

class RasterPointer {
  /**
   * @param {Raster} raster
   * @param {object} told What a gesture leads to: `go(frame)`, `act(name, fields)`,
   *   `takesWheel()`, and `may` as for Hits.
   */
  constructor(raster, told) {
    this.raster = raster;
    this.scale = raster.scale;
    this.told = told;
    this.hits = new Hits(raster, told.may);
    this.tip = new Tip(raster);
    this.gestures = new Gestures(raster, this.tip, told);
    this.gesture = null;
    this.listen();
  }

  listen() {
    const listeners = {
      pointerdown: (event) => this.press(event),
      pointermove: (event) => this.move(event),
      pointerup: (event) => this.release(event),
      pointercancel: () => this.cancel(),
      pointerleave: () => this.leave(),
      dblclick: (event) => this.doubleClick(event),
    };
    const { top } = this.raster;
    for (const [name, listener] of Object.entries(listeners)) top.addEventListener(name, listener);
    top.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  press(event) {
    // The middle button pans from anywhere.
    if (event.button > 1 || this.raster.place === null) return;
    if (event.button === 1) event.preventDefault();
    clearTimeout(this.expiry);
    const point = this.hits.point(event);
    const hit = event.button === 1 ? { kind: "axis" } : this.hits.at(point);
    this.gesture = this.gestures.begin(hit, point);
    this.pressed = point;
    this.moved = false;
    if (this.gesture !== null) this.raster.top.setPointerCapture(event.pointerId);
  }

  move(event) {
    const point = this.hits.point(event);
    if (this.gesture === null) this.look(point);
    else if (this.gesture.drag !== undefined && this.isDrag(point)) this.drag(point);
  }

  isDrag({ x, y }) {
    return this.moved || Math.hypot(x - this.pressed.x, y - this.pressed.y) >= DRAG_PX;
  }

  drag(point) {
    const { gesture } = this;
    if (!this.moved && gesture.start !== undefined) gesture.start();
    this.moved = true;
    this.raster.held = true;
    gesture.drag(point);
    this.drift(point);
  }

  /** Go on while the mouse is held beyond the shown frames. */
  drift(point) {
    cancelAnimationFrame(this.drifting);
    const { x0, x1, span } = this.scale;
    const beyond = point.x < x0 ? point.x - x0 : Math.max(point.x - x1, 0);
    if (beyond === 0 || this.scale.isWhole || !this.gesture.drifts) return;
    this.drifting = requestAnimationFrame(() => {
      if (this.gesture === null) return;
      this.raster.pan((clamp(beyond, -80, 80) / 80) * span * 0.02);
      this.gesture.drag(point);
      this.drift(point);
    });
  }

  release(event) {
    const { gesture, moved } = this;
    if (gesture === null) return;
    this.letGo();
    if (!moved && gesture.click !== undefined) gesture.click();
    if (moved && gesture.drop !== undefined) {
      gesture.drop();
      this.expiry = setTimeout(() => this.raster.dropDrafts(), ANSWER_MS);
    }
    this.look(this.hits.point(event));
  }

  /** Leave things as they were before the press; whether there was anything to leave. */
  cancel() {
    if (this.gesture === null) return false;
    this.letGo();
    this.raster.dropDrafts();
    return true;
  }

  letGo() {
    cancelAnimationFrame(this.drifting);
    this.gesture = null;
    this.raster.held = false;
  }

  doubleClick(event) {
    const point = this.hits.point(event);
    const { kind } = this.hits.at(point);
    if (kind === "axis" || kind === "strip") this.raster.showWhole();
    if (kind === "lane" || kind === "edge" || kind === "grip") this.selectBout(point);
  }

  selectBout(point) {
    const lane = this.hits.laneAt(point.y);
    if (lane < 0 || !this.told.may.select()) return;
    const { behavior } = this.raster.lanes[lane];
    const on = this.raster.bouts(behavior);
    const index = this.hits.nearStretch(on, point.x, EDGE_PX);
    if (index < 0) return;
    const frame = clamp(this.scale.frameAt(point.x), on[index], on[index + 1] - 1);
    this.told.act("select_bout", { behavior, frame });
  }

  wheel(event) {
    if (this.raster.place === null || !this.told.takesWheel()) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const sideways = event.shiftKey ? event.deltaY + event.deltaX : event.deltaX;
      this.raster.pan((sideways * unit) / this.scale.pixels);
    } else {
      this.raster.zoom(Math.exp(-event.deltaY * unit * 0.0022), this.hits.point(event).x);
    }
    this.leave();
  }

  /** Show what lies under the mouse, and what a press there would take hold of. */
  look(point) {
    const hit = this.hits.at(point);
    this.raster.top.style.cursor = CURSORS[hit.kind] || "default";
    this.raster.grip = hit.kind === "grip" ? hit.grip : null;
    const edge = hit.kind === "edge" ? hit.edge : null;
    this.raster.edge = edge === null ? null : { lane: hit.lane, frame: edge[edge.which] };
    const isInside = point.x >= this.scale.x0 && point.x <= this.scale.x1;
    const lane = isInside && hit.kind !== "nothing" ? this.hits.laneAt(point.y) : -1;
    if (lane >= 0) this.tip.describe(this.hits, lane, point);
    else if (hit.kind === "axis" && this.hits.isSeen(point)) this.tip.describeSeen(point);
    else this.tip.hide();
    this.raster.paintTop();
  }

  leave() {
    if (this.gesture !== null) return;
    this.raster.edge = null;
    this.raster.grip = null;
    this.tip.hide();
    this.raster.paintTop();
  }
}
