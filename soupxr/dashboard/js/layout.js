// Who gets which part of the page: the size of a unit, and the heights of picture and raster.

/** Heights of the picture, in units: below the first the lanes give way, the second is its least. */
const SMALL_PICTURE = 280;
const LEAST_PICTURE = 150;
/** Pages narrower than this have the trials above the rest. */
const NARROW = 760;
const STEP = 16;

class Layout {
  /** @param {object} parts `root`, `main` (the column on the right), `player` and `raster`. */
  constructor(parts) {
    Object.assign(this, parts);
    this.unit = 1;
    this.extra = Number(readSetting("raster")) || 0;
    this.split = this.buildSplit();
    this.sizes = new ResizeObserver(() => this.resize());
  }

  observe(...elements) {
    for (const element of elements) this.sizes.observe(element);
  }

  close() {
    this.sizes.disconnect();
  }

  // ------------------------------------------------------------------ the divider

  buildSplit() {
    const label = "Height of the picture; arrow keys move it, double click resets it";
    const props = { class: "split", "data-test": "split", role: "separator", tabindex: "0" };
    const split = make("div", { ...props, "aria-label": label, "aria-orientation": "horizontal" });
    split.addEventListener("pointerdown", (event) => this.press(event));
    split.addEventListener("dblclick", () => this.setExtra(0));
    return split;
  }

  press(event) {
    event.preventDefault();
    const { split } = this;
    const [from, before] = [event.clientY, this.raster.element.offsetHeight];
    const automatic = before - this.extra * this.unit;
    const move = ({ clientY }) => this.setExtra((before + from - clientY - automatic) / this.unit);
    split.setPointerCapture(event.pointerId);
    split.addEventListener("pointermove", move);
    const stop = () => split.removeEventListener("pointermove", move);
    split.addEventListener("lostpointercapture", stop, { once: true });
  }

  /** Arrow keys on the divider; whether the key was one of them. */
  arrow(key) {
    if (key !== "ArrowUp" && key !== "ArrowDown") return false;
    this.setExtra(this.extra + (key === "ArrowUp" ? STEP : -STEP));
    return true;
  }

  /** Height that the raster gets beyond its own share, in units. */
  setExtra(extra) {
    this.extra = extra;
    this.share();
    // What did not fit is not kept, or the divider would have a dead stretch.
    this.extra = (this.height - this.automatic) / this.unit;
    writeSetting("raster", String(Math.round(this.extra)));
  }

  // ------------------------------------------------------------------ heights

  /** Fit everything to the page: the size of a unit first, then who gets which height. */
  resize() {
    const width = this.root.clientWidth;
    // Wider screens are looked at from further away.
    this.unit = clamp(Math.max(0.7 + 0.000208 * width, 0.5 + 0.00031 * width), 1, 2);
    this.root.style.setProperty("--ui", `${this.unit}px`);
    this.root.toggleAttribute("data-narrow", width < NARROW);
    this.share();
    this.raster.refresh();
  }

  /**
   * Share the column's height: first lanes of a good height, then the picture up to its full
   * width, then more for the lanes; where it is tight, lanes give way before the picture does.
   */
  share() {
    const { unit } = this;
    const { stage, canvas } = this.player;
    const room = this.room() + stage.offsetHeight + this.raster.element.offsetHeight;
    const picture = (stage.clientWidth * canvas.height) / canvas.width;
    const { least, wanted, most } = this.raster.heights(unit);
    const tight = Math.max(least, Math.min(wanted, room - SMALL_PICTURE * unit));
    this.automatic = clamp(room - picture, tight, most);
    const top = Math.max(least, room - LEAST_PICTURE * unit);
    this.height = clamp(this.automatic + this.extra * unit, least, top);
    const stageHeight = clamp(room - this.height, LEAST_PICTURE * unit, picture);
    stage.style.height = `${Math.floor(stageHeight)}px`;
    this.raster.setHeight(Math.floor(this.height));
  }

  /** Height of the column that nothing takes; below zero where it overflows. */
  room() {
    const { main } = this;
    const parts = [...main.children].filter((part) => part.offsetHeight > 0);
    const gaps = Number.parseFloat(getComputedStyle(main).rowGap) * (parts.length - 1);
    const taken = parts.reduce((sum, part) => sum + part.offsetHeight, 0);
    return main.clientHeight - gaps - taken;
  }
}
