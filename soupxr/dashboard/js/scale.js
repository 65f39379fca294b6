// Which frames the raster shows, and where: zoom, pan and ticks. Pure.

const MIN_SPAN = 20;

class Scale {
  constructor() {
    this.x0 = 0;
    this.x1 = 1;
    this.setFrames(1);
  }

  setFrames(count) {
    this.count = Math.max(count, 1);
    this.showAll();
  }

  /** Place the shown frames between two horizontal positions, in CSS pixels. */
  setPlace(x0, x1) {
    this.x0 = x0;
    this.x1 = Math.max(x1, x0 + 1);
  }

  get span() {
    return this.stop - this.start;
  }

  get isWhole() {
    return this.span >= this.count;
  }

  /** CSS pixels a frame. */
  get pixels() {
    return (this.x1 - this.x0) / this.span;
  }

  x(frame) {
    return this.x0 + (frame - this.start) * this.pixels;
  }

  /** Position in frames, with fractions. */
  at(x) {
    return this.start + (x - this.x0) / this.pixels;
  }

  /** Frame under a position, one of the trial's. */
  frameAt(x) {
    return clamp(Math.floor(this.at(x)), 0, this.count - 1);
  }

  /** Edge between frames nearest to a position. */
  edgeAt(x) {
    return clamp(Math.round(this.at(x)), 0, this.count);
  }

  showAll() {
    this.start = 0;
    this.stop = this.count;
  }

  show(start, stop) {
    const span = clamp(stop - start, Math.min(MIN_SPAN, this.count), this.count);
    this.start = clamp(start, 0, this.count - span);
    this.stop = this.start + span;
  }

  /** Zoom by a factor (above 1: nearer), the frame at `x` staying where it is. */
  zoom(factor, x) {
    const fixed = clamp(this.at(x), 0, this.count);
    const span = clamp(this.span / factor, Math.min(MIN_SPAN, this.count), this.count);
    const share = (fixed - this.start) / this.span;
    this.show(fixed - share * span, fixed + (1 - share) * span);
  }

  pan(frames) {
    this.show(this.start + frames, this.stop + frames);
  }

  /** Turn the page if a frame is out of sight; whether that was so. */
  reveal(frame) {
    if (frame >= this.start && frame + 1 <= this.stop) return false;
    const ahead = frame >= this.stop ? 0.1 : 0.9;
    this.show(frame - ahead * this.span, frame + (1 - ahead) * this.span);
    return true;
  }
}

/** Round numbers between two ends, so far apart that about `most` of them fit. */
function niceTicks(start, stop, most, least = 0) {
  const rough = Math.max((stop - start) / Math.max(most, 1), least);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((nice) => nice >= rough * 0.999);
  const ticks = [];
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  for (let i = Math.ceil(start / step - 1e-9); i * step <= stop + 1e-9 * step; i += 1) {
    ticks.push(Number((i * step).toFixed(places)));
  }
  return { ticks, places };
}
