// A closer look at the picture: wheel zooms at the mouse, drag moves it, double click ends it.

const MAX_ZOOM = 12;

class Lens {
  /** @param {() => boolean} takesWheel Whether the wheel is the page's now. */
  constructor(stage, canvas, takesWheel) {
    this.stage = stage;
    this.canvas = canvas;
    this.takesWheel = takesWheel;
    const props = { type: "button", class: "button lens", "data-test": "lens", hidden: true };
    this.button = make("button", { ...props, title: "Whole picture" });
    this.button.addEventListener("click", () => this.reset());
    stage.append(this.button);
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("dblclick", () => this.reset());
    this.reset();
  }

  reset() {
    this.set(1, 0, 0);
  }

  /** Show the picture `zoom` times as large, its middle moved by (x, y) CSS pixels. */
  set(zoom, x, y) {
    const most = { x: (zoom - 1) * this.canvas.offsetWidth, y: (zoom - 1) * this.canvas.offsetHeight };
    this.zoom = zoom;
    this.x = clamp(x, -most.x / 2, most.x / 2);
    this.y = clamp(y, -most.y / 2, most.y / 2);
    const isWhole = zoom === 1;
    this.canvas.style.transform = isWhole ? "" : `translate(${this.x}px, ${this.y}px) scale(${zoom})`;
    this.stage.style.cursor = isWhole ? "" : "grab";
    this.button.hidden = isWhole;
    this.button.textContent = `${zoom.toFixed(1)}× ✕`;
    this.button.setAttribute("aria-label", `Enlarged ${zoom.toFixed(1)} times; show the whole picture`);
  }

  wheel(event) {
    if (!this.takesWheel()) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const zoom = clamp(this.zoom * Math.exp(-event.deltaY * unit * 0.002), 1, MAX_ZOOM);
    const box = this.stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
    const factor = zoom / this.zoom;
    // What is under the mouse stays there.
    this.set(zoom, x - factor * (x - this.x), y - factor * (y - this.y));
  }

  press(event) {
    if (this.zoom === 1 || event.button !== 0 || event.target === this.button) return;
    const from = { x: event.clientX - this.x, y: event.clientY - this.y };
    const move = ({ clientX, clientY }) => this.set(this.zoom, clientX - from.x, clientY - from.y);
    this.stage.setPointerCapture(event.pointerId);
    this.stage.addEventListener("pointermove", move);
    const stop = () => this.stage.removeEventListener("pointermove", move);
    this.stage.addEventListener("lostpointercapture", stop, { once: true });
  }
}
