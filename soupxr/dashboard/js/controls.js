// The controls below the picture, and the line above it.

/** Frames a second at 1×. */
const BASE_RATE = 30;
const SPEEDS = [
  { value: "0.25", label: "¼×" },
  { value: "0.5", label: "½×" },
  { value: "1", label: "1×" },
  { value: "2", label: "2×" },
  { value: "real", label: "real time" },
];
const JUMP = /^\s*(\d+(?:\.\d*)?|\.\d+)\s*(s?)\s*$/i;

class Controls {
  /**
   * @param {object} told `go(frame)`, `step(count)`, `toggle()`, `speed()`, `loop(on)`,
   *   `view(name)`, each called when somebody asks for it.
   */
  constructor(told) {
    this.told = told;
    this.fps = 1;
    this.last = 0;
    this.buildHead();
    this.build();
    this.setLoop(false);
  }

  buildHead() {
    this.heading = make("h2", { class: "heading", "data-test": "heading" });
    this.facts = make("span", { class: "facts" });
    this.views = make("select", { class: "select", "data-test": "view", "aria-label": "View" });
    this.views.addEventListener("change", () => this.told.view(this.views.value));
    this.head = make("header", { class: "row" }, this.heading, this.facts, this.views);
  }

  build() {
    const { told } = this;
    this.play = iconButton("play", "Play", "play", () => told.toggle(), "primary");
    const back = iconButton("step-back", "One frame back", "step-back", () => told.step(-1));
    const on = iconButton("step-forward", "One frame on", "step-forward", () => told.step(1));
    this.loop = iconButton("loop", "Loop the region", "loop", () => this.setLoop(!this.looping));
    const range = { type: "range", class: "slider", min: "0", step: "1", "data-test": "slider" };
    this.slider = make("input", { ...range, "aria-label": "Frame" });
    this.slider.addEventListener("input", () => told.go(Number(this.slider.value)));
    this.position = make("output", { class: "position", "data-test": "position" });
    this.speed = make("select", {
      class: "select",
      "data-test": "speed",
      "aria-label": "Playing speed",
      title: "1× is 30 frames a second; real time skips frames where there are more than 60",
    });
    this.speed.addEventListener("change", () => told.speed());
    setOptions(this.speed, SPEEDS, "1");
    const parts = [this.play, back, on, this.slider, this.position, this.buildJump()];
    this.element = make("div", { class: "row controls" }, ...parts, this.loop, this.speed);
  }

  /** A form: Enter reaches it even where a notebook is kept from seeing keys. */
  buildJump() {
    this.jump = make("input", {
      type: "text",
      class: "box jump",
      placeholder: "go to",
      "data-test": "jump",
      "aria-label": "Go to a frame, or to a time such as 1.25s",
      title: "A frame number, or a time such as 1.25s",
      autocomplete: "off",
      spellcheck: "false",
    });
    this.jump.addEventListener("blur", () => this.clearJump());
    const form = make("form", {}, this.jump);
    form.addEventListener("submit", (event) => this.submitJump(event));
    return form;
  }

  clearJump() {
    this.jump.value = "";
    this.jump.removeAttribute("aria-invalid");
  }

  submitJump(event) {
    event.preventDefault();
    const match = JUMP.exec(this.jump.value);
    if (match === null) {
      this.jump.setAttribute("aria-invalid", "true");
      return;
    }
    const isTime = match[2] !== "" || match[1].includes(".");
    this.jump.blur();
    this.told.go(Math.round(Number(match[1]) * (isTime ? this.fps : 1)));
  }

  // ------------------------------------------------------------------ what they show

  setTrial(trial, view) {
    this.fps = trial.fps;
    this.last = Math.max(trial.n_frames - 1, 0);
    this.slider.max = String(this.last);
    this.heading.textContent = `${trial.animal} · ${trial.session} · trial ${trial.trial_id}`;
    const rate = `${Number(trial.fps.toFixed(2))} Hz`;
    const length = formatDuration(trial.n_frames / trial.fps);
    this.facts.textContent = `${plural(trial.n_frames, "frame")} · ${rate} · ${length}`;
    this.listViews(trial.views, view);
  }

  listViews(views, view) {
    const joined = { value: "joined", label: views.length > 1 ? "all views" : "video" };
    const single = views.map(({ name }) => ({ value: name, label: name }));
    setOptions(this.views, views.length > 1 ? [joined, ...single] : [joined], view);
    this.views.hidden = views.length < 2;
  }

  setFrame(frame) {
    const text = `${formatSeconds(frame / this.fps, this.fps)} · frame ${frame} / ${this.last}`;
    this.position.textContent = text;
    this.slider.value = String(frame);
    this.slider.setAttribute("aria-valuetext", text);
    this.slider.style.setProperty("--done", `${(100 * frame) / Math.max(this.last, 1)}%`);
  }

  setPlaying(playing) {
    relabel(this.play, playing ? "pause" : "play", playing ? "Pause" : "Play");
  }

  setLoop(looping) {
    this.looping = looping;
    this.loop.setAttribute("aria-pressed", String(looping));
  }

  /** Frames a second that are asked for. */
  get rate() {
    const { value } = this.speed;
    return value === "real" ? this.fps : BASE_RATE * Number(value);
  }
}
