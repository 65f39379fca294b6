// The note beside the mouse: bout, region or frame under it.

class Tip {
  constructor(raster) {
    this.raster = raster;
    this.element = raster.tip;
  }

  hide() {
    this.raster.hover = null;
    this.element.hidden = true;
  }

  /** Tell about a bout, or about the frame where there is none. */
  describe(hits, lane, point) {
    const { raster } = this;
    const row = hits.rowAt(lane, point.y);
    const { on, unknown } = raster.lanes[lane].rows[row];
    const { name } = raster.behaviors[raster.lanes[lane].behavior];
    const about = raster.rows.length > 1 ? `${name} · ${raster.rows[row].label}` : name;
    const index = hits.nearStretch(on, point.x, 3);
    if (index < 0) {
      raster.hover = null;
      this.describeFrame(about, unknown, raster.scale.frameAt(point.x), point);
      return;
    }
    const [start, stop] = [on[index], on[index + 1]];
    raster.hover = { lane, row, start, stop };
    const count = `bout ${index / 2 + 1} of ${on.length / 2}`;
    const where = [["frames", this.extent(start, stop)], ["time", this.times(start, stop)]];
    this.show(point, [[about, count], ...where]);
  }

  describeFrame(about, unknown, frame, point) {
    const { fps } = this.raster;
    const state = stretchAt(unknown, frame) >= 0 ? "unlabelled" : "absent";
    this.show(point, [[about, state], ["frame", `${frame} · ${formatSeconds(frame / fps, fps)}`]]);
  }

  describeSeen(point) {
    this.raster.hover = null;
    const { seen, scale } = this.raster;
    const count = pairsOf(seen).reduce((sum, [start, stop]) => sum + stop - start, 0);
    this.show(point, [["Watched", `${formatCount(count)} of ${plural(scale.count, "frame")}`]]);
  }

  extent(start, stop) {
    const { fps } = this.raster;
    const length = formatSeconds((stop - start) / fps, fps);
    return `${start}–${stop} · ${plural(stop - start, "frame")} · ${length}`;
  }

  times(start, stop) {
    const { fps } = this.raster;
    return `${formatSeconds(start / fps, fps).replace(" s", "")}–${formatSeconds(stop / fps, fps)}`;
  }

  show(point, lines) {
    const line = ([term, text]) =>
      make("div", {}, make("b", { text: term }), make("span", { text }));
    this.element.replaceChildren(...lines.map(line));
    this.element.hidden = false;
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = clamp(point.x + 14, 4, Math.max(4, this.raster.element.clientWidth - width - 4));
    const above = point.y - height - 12;
    this.element.style.left = `${left}px`;
    this.element.style.top = `${above > -60 ? above : point.y + 20}px`;
  }
}
