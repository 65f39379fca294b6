// What lies under a point of the raster.

const EDGE_PX = 5;
/** A bout narrower than this on screen is too small to take by its edge: zoom in first. */
const GRAB_PX = 6;

class Hits {
  /** @param {object} may `select()` and `edit()`: whether people may do so now. */
  constructor(raster, may) {
    this.raster = raster;
    this.scale = raster.scale;
    this.may = may;
  }

  point(event) {
    const box = this.raster.top.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  laneAt(y) {
    return this.raster.place.lanes.findIndex(({ top, bottom }) => y >= top && y < bottom);
  }

  /** Row of a lane that is nearest to a height. */
  rowAt(lane, y) {
    const inside = y - this.raster.place.lanes[lane].top;
    const { rows } = this.raster.place;
    const away = rows.map(({ top, bottom }) => Math.max(top - inside, inside - bottom, 0));
    return away.indexOf(Math.min(...away));
  }

  /** The kind of thing under a point, which decides what a press begins. */
  at({ x, y }) {
    const { place } = this.raster;
    if (place === null) return { kind: "nothing" };
    const grip = this.regionEdge(x, y);
    if (y < place.top || y >= place.bottom) {
      if (grip !== null) return { kind: "grip", grip };
      return { kind: y >= place.strip - 2 && !this.scale.isWhole ? "strip" : "axis" };
    }
    const lane = this.laneAt(y);
    if (lane < 0) return { kind: "axis" };
    if (x < place.x0) return { kind: "name", lane };
    const edge = this.may.edit() ? this.boutEdge(lane, x, y) : null;
    if (edge !== null) return { kind: "edge", lane, edge };
    return grip === null ? { kind: "lane", lane } : { kind: "grip", grip };
  }

  regionEdge(x, y) {
    const { region, place } = this.raster;
    if (region === null || !this.may.select()) return null;
    if (y < place.top - 8 || y > place.bottom) return null;
    const away = region.map((frame) => Math.abs(this.scale.x(frame) - x));
    const nearest = away[0] <= away[1] ? 0 : 1;
    return away[nearest] <= EDGE_PX + 1 ? ["start", "stop"][nearest] : null;
  }

  /** Whether a point is on the line above the lanes, over frames that were watched. */
  isSeen({ x, y }) {
    const above = this.raster.place.top - y;
    return above >= 0 && above < 8 && stretchAt(this.raster.seen, this.scale.frameAt(x)) >= 0;
  }

  /** Edge of an editable bout under a point on its bar: it comes before the region's. */
  boutEdge(lane, x, y) {
    const row = this.raster.editableRow;
    if (row < 0) return null;
    const part = this.raster.place.rows[row];
    const inside = y - this.raster.place.lanes[lane].top;
    if (inside < part.top - 1 || inside > part.bottom + 1) return null;
    const { on } = this.raster.lanes[lane].rows[row];
    const index = this.nearStretch(on, x, EDGE_PX);
    if (index < 0) return null;
    const [start, stop] = [on[index], on[index + 1]];
    const [left, right] = [this.scale.x(start), this.scale.x(stop)];
    if (right - left < GRAB_PX) return null;
    const reach = Math.min(EDGE_PX, (right - left) / 3);
    if (x <= left + reach) return { which: "start", start, stop };
    return x >= right - reach ? { which: "stop", start, stop } : null;
  }

  /** Index of the stretch at, or within some pixels of, a position; −1 where there is none. */
  nearStretch(flat, x, reach) {
    const inside = stretchAt(flat, Math.floor(this.scale.at(x)));
    if (inside >= 0) return inside;
    const next = bisect(flat, this.scale.at(x));
    const away = (i) => (i >= 0 && i < flat.length ? Math.abs(this.scale.x(flat[i]) - x) : Infinity);
    const [before, after] = [away(next - 1), away(next)];
    if (Math.min(before, after) > reach) return -1;
    return before <= after ? next - 2 : next;
  }
}
