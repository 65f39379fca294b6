// What a press on the raster begins. A gesture has `drag(point)` and `drop()` for a drag, `start()`
// for its beginning, and `click()` for a press that did not move.

class Gestures {
  /** @param {object} told `go(frame)`, `act(name, fields)`, and `may` as for Hits. */
  constructor(raster, tip, told) {
    this.raster = raster;
    this.scale = raster.scale;
    this.tip = tip;
    this.told = told;
  }

  /** Gesture for what lies under a point, or null. */
  begin(hit, point) {
    if (hit.kind === "axis") return this.panning(point);
    if (hit.kind === "strip") return this.scrolling(point);
    if (hit.kind === "name") return { click: () => this.makeCurrent(hit.lane) };
    if (hit.kind === "grip") return this.resizing(hit.grip);
    if (hit.kind === "edge") return this.moving(hit.lane, hit.edge);
    if (hit.kind === "lane") return this.selecting(hit.lane, point);
    return null;
  }

  makeCurrent(lane) {
    const { behavior } = this.raster.lanes[lane];
    if (behavior !== this.raster.current) this.told.act("current", { behavior });
  }

  panning({ x }) {
    let last = x;
    const drag = (point) => {
      this.raster.pan((last - point.x) / this.scale.pixels);
      last = point.x;
    };
    return { drag, click: () => x >= this.scale.x0 && this.told.go(this.scale.frameAt(x)) };
  }

  /** Drag of the strip that says where in the trial one is. */
  scrolling(pressed) {
    const drag = ({ x }) => {
      const share = (x - this.scale.x0) / (this.scale.x1 - this.scale.x0);
      this.raster.pan(share * this.scale.count - (this.scale.start + this.scale.stop) / 2);
    };
    return { drag, click: () => drag(pressed) };
  }

  selecting(lane, { x }) {
    const anchor = this.scale.frameAt(x);
    const start = () => this.makeCurrent(lane);
    const click = () => {
      this.makeCurrent(lane);
      this.told.go(anchor);
    };
    if (!this.told.may.select()) return { click };
    const drag = (point) => {
      const frame = this.scale.frameAt(point.x);
      this.draft([Math.min(anchor, frame), Math.max(anchor, frame) + 1], frame, point);
    };
    return { click, start, drag, drop: () => this.keepRegion(), drifts: true };
  }

  resizing(grip) {
    const region = this.raster.region.slice();
    const fixed = region[grip === "start" ? 1 : 0];
    const drag = (point) => {
      const edge = this.scale.edgeAt(point.x);
      if (edge === fixed) return;
      const [start, stop] = [Math.min(edge, fixed), Math.max(edge, fixed)];
      this.draft([start, stop], edge === start ? start : stop - 1, point);
    };
    return { drag, drop: () => this.keepRegion(), drifts: true };
  }

  /** Show a region that is not settled yet, and the frame at the edge that moves. */
  draft(region, frame, point) {
    this.raster.draftRegion = region;
    this.raster.paintTop();
    this.told.go(frame);
    this.tip.show(point, [["Region", this.tip.extent(...region)]]);
  }

  keepRegion() {
    const region = this.raster.draftRegion;
    if (region !== undefined) this.told.act("region", { start: region[0], stop: region[1] });
  }

  /** A bout's edge: the bar follows the mouse, the picture shows the frame at the edge. */
  moving(lane, { which, start, stop }) {
    const { raster } = this;
    const { behavior, rows } = raster.lanes[lane];
    const row = rows[raster.editableRow];
    const others = pairsOf(row.on).filter(([first]) => first !== start);
    const edge = which === "start" ? start : stop;
    let to = edge;
    const drag = (point) => {
      const near = this.scale.edgeAt(point.x);
      to = which === "start" ? Math.min(near, stop - 1) : Math.max(near, start + 1);
      const bout = which === "start" ? [to, stop] : [start, to];
      raster.preview = { row, on: Int32Array.from(mergeStretches([...others, bout]).flat()) };
      raster.edge = { lane, frame: to };
      raster.refresh();
      this.showEdge(which, to);
      this.tip.show(point, [["Bout", this.tip.extent(...bout)]]);
    };
    const drop = () => {
      if (to !== edge) this.told.act("move_edge", { behavior, edge, to });
      else raster.dropDrafts();
    };
    const click = () => {
      this.makeCurrent(lane);
      this.showEdge(which, edge);
    };
    return { drag, drop, click, start: () => this.makeCurrent(lane), drifts: true };
  }

  /** Show the frame at an edge: the first inside, or the last. */
  showEdge(which, edge) {
    this.told.go(which === "start" ? edge : edge - 1);
  }
}
