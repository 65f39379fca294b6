// Drawing of the raster. Bars are made of stretches, never of an image's pixels, so that short
// bouts stay visible in a long trial; edges lie on device pixels, so that they stay crisp.

/** A bout is at least this many device pixels wide. */
const MIN_BAR = 2;
const MINUTE_STEPS = [30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400];
const INKS = [
  "text", "muted", "faint", "line", "card", "accent", "playhead", "on-playhead", "region",
  "hatch", "disagree", "tint",
];

/** Colours of the style sheet, for the canvas. */
function readInk(element) {
  const style = getComputedStyle(element);
  const ink = { font: style.fontFamily };
  for (const name of INKS) ink[name] = style.getPropertyValue(`--${name}`).trim();
  ink.dark = style.getPropertyValue("--dark").trim() === "1";
  return ink;
}

function withAlpha(color, alpha) {
  const part = Math.round(255 * alpha).toString(16).padStart(2, "0");
  return `${color}${part}`;
}

/** Diagonal lines, for frames that nobody has labelled. */
function hatchPattern(pen, color, ratio) {
  const size = Math.max(4, Math.round(6 * ratio));
  const tile = make("canvas", { width: size, height: size });
  const brush = tile.getContext("2d");
  brush.strokeStyle = color;
  brush.lineWidth = Math.max(1, ratio);
  for (const shift of [-size, 0, size]) {
    brush.moveTo(shift - 1, size + 1);
    brush.lineTo(shift + size + 1, -1);
  }
  brush.stroke();
  return pen.createPattern(tile, "repeat");
}

/**
 * Draws what changes seldom: bars, axes, names.
 *
 * `scene` is what is drawn: scale, behaviors, rows, lanes, curves, current lane, fps, agreement.
 * `place` is where: sizes in CSS pixels, the lanes' tops and bottoms, the rows' within a lane.
 */
class Painter {
  constructor(pen, scene, place, ink, ratio) {
    Object.assign(this, { pen, scene, place, ink, ratio });
    this.scale = scene.scale;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, place.width, place.height);
  }

  snap(x) {
    return Math.round(x * this.ratio) / this.ratio;
  }

  font(size, weight = "400") {
    this.pen.font = `${weight} ${size * this.place.unit}px ${this.ink.font}`;
  }

  color(behavior) {
    const { light, dark } = this.scene.behaviors[behavior];
    return this.ink.dark ? dark : light;
  }

  rect(x, y, width, height) {
    const [left, top] = [this.snap(x), this.snap(y)];
    this.pen.fillRect(left, top, this.snap(x + width) - left, this.snap(y + height) - top);
  }

  round(x, y, width, height, radius) {
    this.pen.beginPath();
    this.pen.roundRect(x, y, width, height, Math.min(radius, width / 2, height / 2));
    this.pen.fill();
  }

  /** Keep what is drawn within the frames' part of the canvas. */
  clipped(draw) {
    const { pen, place } = this;
    pen.save();
    pen.beginPath();
    pen.rect(place.x0, 0, place.x1 - place.x0, place.height);
    pen.clip();
    draw();
    pen.restore();
  }

  paintBase() {
    this.hatch = hatchPattern(this.pen, this.ink.hatch, this.ratio);
    this.hatch.setTransform(new DOMMatrix().scale(1 / this.ratio));
    this.paintCurrent();
    this.paintAxes();
    this.clipped(() => this.scene.lanes.forEach((lane, i) => this.paintLane(lane, i)));
    this.scene.lanes.forEach((lane, i) => this.paintNames(lane, i));
    this.paintStrip();
  }

  paintCurrent() {
    const lane = this.place.lanes.find(({ behavior }) => behavior === this.scene.current);
    if (lane === undefined) return;
    const { pen, place } = this;
    const color = this.color(lane.behavior);
    pen.fillStyle = withAlpha(color, this.ink.dark ? 0.17 : 0.13);
    this.round(0, lane.top, place.width, lane.bottom - lane.top, 4 * place.unit);
    pen.fillStyle = color;
    this.round(0, lane.top + 4, 3 * place.unit, lane.bottom - lane.top - 8, 2 * place.unit);
  }

  get mostTicks() {
    return (this.place.x1 - this.place.x0) / (92 * this.place.unit);
  }

  paintAxes() {
    const { pen, place, scale, ink, scene } = this;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    this.font(11.5);
    pen.fillStyle = ink.muted;
    const times = this.timeTicks(this.mostTicks);
    for (const { text, x } of times) this.label(text, x, place.seconds);
    pen.fillStyle = ink.line;
    for (const { x } of times) this.rect(x, place.top, 1 / this.ratio, place.bottom - place.top);
    for (const lane of place.lanes.slice(1)) {
      this.rect(place.x0, lane.top, place.x1 - place.x0, 1 / this.ratio);
    }
    pen.textAlign = "right";
    pen.fillStyle = ink.faint;
    this.font(11);
    pen.fillText("frame", place.x0 - 20 * place.unit, place.axis);
    if (scene.fps > 0) pen.fillText("time", place.x0 - 20 * place.unit, place.seconds);
  }

  /** Text centred on a position, but never beyond the canvas. */
  label(text, x, y) {
    const half = this.pen.measureText(text).width / 2;
    this.pen.fillText(text, clamp(x, this.place.x0 - 2, this.place.width - half - 1), y);
  }

  timeTicks(most) {
    const { scale, scene } = this;
    if (!(scene.fps > 0)) return [];
    const [start, stop] = [scale.start / scene.fps, scale.stop / scene.fps];
    const rough = (stop - start) / Math.max(most, 1);
    const x = (seconds) => scale.x(seconds * scene.fps);
    if (rough <= 20) {
      const { ticks, places } = niceTicks(start, stop, most, 1 / scene.fps);
      return ticks.map((tick) => ({ x: x(tick), text: `${tick.toFixed(places)} s` }));
    }
    const step = MINUTE_STEPS.find((nice) => nice >= rough) || 28800;
    const ticks = [];
    for (let at = Math.ceil(start / step) * step; at <= stop; at += step) {
      const seconds = String(at % 60).padStart(2, "0");
      ticks.push({ x: x(at), text: `${Math.floor(at / 60)}:${seconds}` });
    }
    return ticks;
  }

  paintLane(lane, index) {
    const box = this.place.lanes[index];
    if (lane.disagree.length > 0) {
      this.pen.fillStyle = this.ink.disagree;
      this.bars(lane.disagree, box.top + 1, box.bottom - box.top - 1, false);
    }
    lane.rows.forEach((row, r) => this.paintRow(row, this.scene.rows[r], box, this.place.rows[r], lane));
    for (const curve of this.scene.curves) {
      if (curve.behavior === lane.behavior) this.paintCurve(curve, box);
    }
  }

  paintRow(row, about, box, part, lane) {
    const { pen } = this;
    const top = this.snap(box.top + part.top);
    const height = this.snap(box.top + part.bottom) - top;
    if (row.unknown.length > 0) {
      pen.fillStyle = this.hatch;
      this.bars(row.unknown, top, height, false);
    }
    const color = this.color(lane.behavior);
    // Pale below a curve, so that the curve is what is seen.
    const isPale = about.faded || this.scene.curves.length > 0;
    pen.fillStyle = isPale ? withAlpha(color, this.ink.dark ? 0.55 : 0.5) : color;
    const { preview } = this.scene;
    this.bars(preview !== null && preview.row === row ? preview.on : row.on, top, height, true);
  }

  /** Fill stretches of frames; those that share a pixel become one bar. */
  bars(flat, top, height, rounded) {
    const { pen, scale, ratio } = this;
    const slope = scale.pixels * ratio;
    const shift = scale.x0 * ratio - scale.start * slope;
    const low = Math.floor(scale.x0 * ratio) - 8;
    const high = Math.ceil(scale.x1 * ratio) + 8;
    const radius = rounded ? Math.min(2 * this.place.unit, height / 3) : 0;
    const flush = (left, right) => {
      if (right - left >= 5 * ratio && radius > 0) {
        this.round(left / ratio, top, (right - left) / ratio, height, radius);
      } else {
        pen.fillRect(left / ratio, top, (right - left) / ratio, height);
      }
    };
    const first = bisect(flat, scale.start);
    let left = NaN;
    let right = NaN;
    for (let i = first - (first % 2); i < flat.length && flat[i] < scale.stop; i += 2) {
      const from = Math.max(low, Math.round(flat[i] * slope + shift));
      const to = Math.min(high, Math.max(from + MIN_BAR, Math.round(flat[i + 1] * slope + shift)));
      if (from <= right) {
        right = Math.max(right, to);
        continue;
      }
      if (right > left) flush(left, right);
      left = from;
      right = to;
    }
    if (right > left) flush(left, right);
  }

  paintCurve(curve, box) {
    const { pen, ink, place } = this;
    const pad = 3;
    const y = (value) => box.bottom - pad - value * (box.bottom - box.top - 2 * pad);
    if (curve.threshold !== null) {
      pen.strokeStyle = ink.faint;
      pen.lineWidth = 1;
      pen.setLineDash([2 * place.unit, 4 * place.unit]);
      const level = this.snap(y(curve.threshold)) + 0.5 / this.ratio;
      this.line([[place.x0, level], [place.x1, level]]);
      pen.setLineDash([]);
    }
    pen.lineJoin = "round";
    pen.strokeStyle = ink.text;
    pen.lineWidth = 1.25 * place.unit;
    this.line(this.curvePoints(curve, y));
  }

  line(points) {
    const { pen } = this;
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x, y);
    pen.stroke();
  }

  /** Points of a curve; lowest and highest in each pixel where there are more than pixels. */
  curvePoints({ x, y: values }, y) {
    const { scale } = this;
    const from = Math.max(0, bisect(x, scale.start) - 1);
    const to = Math.min(x.length, bisect(x, scale.stop) + 1);
    const dense = to - from > 3 * (scale.x1 - scale.x0);
    const points = [];
    if (!dense) {
      for (let i = from; i < to; i += 1) points.push([scale.x(x[i] + 0.5), y(values[i])]);
      return points;
    }
    for (let i = from; i < to; ) {
      const column = Math.floor(scale.x(x[i]));
      let [least, greatest] = [values[i], values[i]];
      for (i += 1; i < to && scale.x(x[i]) < column + 1; i += 1) {
        least = Math.min(least, values[i]);
        greatest = Math.max(greatest, values[i]);
      }
      points.push([column, y(least)], [column, y(greatest)]);
    }
    return points;
  }

  paintNames(lane, index) {
    const { pen, place, ink, scene } = this;
    const box = place.lanes[index];
    const middle = (box.top + box.bottom) / 2;
    const isCurrent = lane.behavior === scene.current;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.fillStyle = ink.text;
    this.font(13, isCurrent ? "600" : "400");
    pen.fillText(place.names[index], place.nameRight, middle);
    this.paintRowLabels(box);
    const text = scene.agreement.get(lane.behavior);
    if (text === undefined) return;
    pen.textAlign = "left";
    pen.fillStyle = ink.muted;
    this.font(11.5);
    pen.fillText(text, place.x1 + 10 * place.unit, middle);
  }

  paintRowLabels(box) {
    const { pen, place, ink, scene } = this;
    if (place.rowLabels.length === 0) return;
    this.font(10.5);
    pen.fillStyle = ink.muted;
    scene.rows.forEach((row, r) => {
      const middle = box.top + (place.rows[r].top + place.rows[r].bottom) / 2;
      pen.fillText(place.rowLabels[r], place.x0 - 8 * place.unit, middle);
    });
  }

  /** Where the shown frames lie in the trial; only when they are not all of it. */
  paintStrip() {
    const { pen, place, scale, ink } = this;
    if (scale.isWhole) return;
    const width = place.x1 - place.x0;
    const height = place.stripHeight;
    pen.fillStyle = ink.tint;
    this.round(place.x0, place.strip, width, height, height / 2);
    const thumb = Math.max((width * scale.span) / scale.count, 12);
    const left = place.x0 + (width - thumb) * (scale.start / (scale.count - scale.span));
    pen.fillStyle = ink.faint;
    this.round(left, place.strip, thumb, height, height / 2);
  }
}
