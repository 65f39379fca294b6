// The picture of a trial, and the controls below it. The picture drawn is always the frame named.

const AHEAD = 12;
/** A picture that takes longer than this to come is said to be loading. */
const SLOW_MS = 250;
const PLAYHEAD_MS = 100;

class Player {
  /**
   * @param {Link} link
   * @param {object} told `shown(frame, watched)` after each picture, `region()` for the loop,
   *   `reshaped()` when pictures of another shape will come, `takesWheel()`.
   */
  constructor(link, told) {
    this.link = link;
    this.told = told;
    this.view = "joined";
    this.trial = null;
    this.shown = 0;
    this.target = 0;
    this.playing = false;
    this.stride = 1;
    this.controls = new Controls({
      go: (frame) => this.jump(frame),
      step: (count) => this.step(count),
      toggle: () => this.toggle(),
      speed: () => this.restartClock(),
      view: (view) => this.setView(view),
    });
    this.frames = new Frames(
      (frame, urgent, direction) =>
        link.sendTrial("want", { frame, view: this.view, direction, urgent }),
      (frame) => this.arrived(frame),
    );
    this.tellPlayhead = throttle(() => this.sendPlayhead(), PLAYHEAD_MS);
    this.build();
  }

  // ------------------------------------------------------------------ elements

  build() {
    this.canvas = make("canvas", { class: "picture", "data-test": "picture", role: "img" });
    this.pen = this.canvas.getContext("2d", { alpha: false });
    this.trouble = make("div", { class: "trouble", "data-test": "trouble", hidden: true });
    this.loading = make("div", { class: "loading", hidden: true });
    this.stage = make("div", { class: "stage" }, this.canvas, this.trouble, this.loading);
    this.lens = new Lens(this.stage, this.canvas, this.told.takesWheel);
    const { head, element } = this.controls;
    const props = { class: "card player", "aria-label": "Video" };
    this.element = make("section", props, head, this.stage, element);
    this.resizes = new ResizeObserver(() => this.fit());
    this.resizes.observe(this.stage);
  }

  /** Give the picture the largest place with its own proportions that the stage has. */
  fit() {
    const { width, height } = this.canvas;
    const scale = Math.min(this.stage.clientWidth / width, this.stage.clientHeight / height);
    this.canvas.style.width = `${Math.floor(width * scale)}px`;
    this.canvas.style.height = `${Math.floor(height * scale)}px`;
  }

  // ------------------------------------------------------------------ trials and views

  /** Turn to another trial (the message `trial`). */
  open(trial) {
    this.pause();
    this.tellPlayhead.cancel();
    this.trial = trial;
    this.last = Math.max(trial.n_frames - 1, 0);
    this.controls.setTrial(trial, this.view);
    this.view = this.controls.views.value;
    this.startView();
    this.target = this.shown = -1;
    this.go(trial.frame);
  }

  setView(view) {
    const frame = this.target;
    this.pause();
    this.view = view;
    this.startView();
    this.target = this.shown = -1;
    this.go(frame);
    this.lens.reset();
    this.told.reshaped();
  }

  /** Begin with nothing on the canvas, which takes the shape that its pictures will have. */
  startView() {
    const { trial } = this;
    const single = trial.views.find(({ name }) => name === this.view);
    const { width, height } = single === undefined ? trial : single;
    this.canvas.width = width > 0 ? width : 16;
    this.canvas.height = height > 0 ? height : 9;
    delete this.canvas.dataset.frame;
    this.frames.reset(4 * this.canvas.width * this.canvas.height);
    this.fit();
    this.say(trial.error ? `The video cannot be shown. ${trial.error}` : "");
  }

  say(trouble) {
    this.trouble.textContent = trouble;
    this.trouble.hidden = trouble === "";
    this.canvas.classList.toggle("blank", trouble !== "");
  }

  // ------------------------------------------------------------------ frames

  /** Frame that is, or is about to be, on screen. */
  get frame() {
    return this.playing ? this.shown : this.target;
  }

  /** Whether the picture on screen is not yet the one that is wanted. */
  get isWaiting() {
    return this.target !== this.shown;
  }

  step(count) {
    this.pause();
    this.stride = count;
    this.go(this.target + count);
  }

  /** Stop playing and turn to a frame. */
  jump(frame) {
    this.pause();
    this.go(frame);
  }

  /** Show a frame: at once where it is decoded, else as soon as it has come. */
  go(frame) {
    if (this.trial === null) return;
    const wanted = clamp(Math.round(frame), 0, this.last);
    if (wanted === this.target && wanted === this.shown) return;
    this.target = wanted;
    const entry = this.entry(wanted);
    if (entry !== null) this.draw(wanted, entry);
    this.need();
  }

  /** What there is to draw of a frame; a trial without a video has nothing to wait for. */
  entry(frame) {
    return this.trial.error ? {} : this.frames.peek(frame);
  }

  /** Tell the store of frames what to get. */
  need() {
    if (this.trial.error) return;
    const missing = this.isWaiting;
    this.frames.want(missing ? this.target : null, this.plan(), this.playing ? 1 : 0);
    if (!missing) this.showLoading(false);
    else if (!this.loading.hidden) this.showLoading(true);
    else if (!this.slow) this.slow = setTimeout(() => this.showLoading(true), SLOW_MS);
  }

  showLoading(late) {
    clearTimeout(this.slow);
    this.slow = null;
    this.loading.hidden = !late;
    if (late) this.loading.textContent = `Loading frame ${this.target} …`;
  }

  plan() {
    if (this.playing) return this.clock.plan(this.target, (f, n) => this.after(f, n), AHEAD);
    // First what another step like the last one needs.
    const { stride } = this;
    const [on, back] = [Math.sign(stride), -Math.sign(stride)];
    const steps = [stride, on, 2 * on, 3 * on, back, 2 * back, 3 * back, 2 * stride, -stride];
    const frames = [...new Set(steps)].map((step) => this.target + step);
    return frames.filter((frame) => frame >= 0 && frame <= this.last);
  }

  /** A frame can be drawn: draw it if it is the one that is wanted now. */
  arrived(frame) {
    if (frame !== this.target || frame === this.shown) return;
    this.draw(frame, this.frames.peek(frame));
    if (this.playing) this.clock.drawn(performance.now());
    this.need();
  }

  draw(frame, entry) {
    if (entry.bitmap !== undefined) this.paint(entry.bitmap);
    this.shown = frame;
    const { dataset } = this.canvas;
    dataset.token = this.trial.token;
    dataset.frame = frame;
    dataset.view = this.view;
    if (!this.trial.error) this.say(entry.error ? `Frame ${frame} cannot be shown: ${entry.error}` : "");
    this.canvas.setAttribute("aria-label", `Frame ${frame} of ${this.trial.key}`);
    this.controls.setFrame(frame);
    this.tellPlayhead();
    this.told.shown(frame, entry.bitmap !== undefined && !this.skips());
  }

  paint(bitmap) {
    const { canvas } = this;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
      this.fit();
    }
    this.pen.drawImage(bitmap, 0, 0);
  }

  sendPlayhead() {
    this.link.sendTrial("playhead", { frame: this.shown });
  }

  // ------------------------------------------------------------------ playing

  /** Whether frames are passed over: what flashes by like that does not count as watched. */
  skips() {
    return this.playing && this.clock instanceof HoldPace;
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.trial === null || this.trial.n_frames < 2) return;
    this.playing = true;
    this.controls.setPlaying(true);
    this.restartClock();
    const [start, stop] = this.range();
    if (this.target < start || this.target >= stop - 1) this.go(start);
    this.ticking = requestAnimationFrame((now) => this.tick(now));
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    cancelAnimationFrame(this.ticking);
    this.controls.setPlaying(false);
    // Stay on the frame that is on screen, not on one that was about to come.
    if (this.shown >= 0) this.target = this.shown;
    this.need();
  }

  restartClock() {
    if (this.trial !== null) this.clock = clockFor(this.controls.rate);
  }

  get loop() {
    return this.controls.looping;
  }

  /** Frames that are played: the region where that is looped, else all. */
  range() {
    const region = this.told.region();
    return this.loop && region !== null ? region : [0, this.last + 1];
  }

  /** Frame that is played `count` frames after another. */
  after(frame, count) {
    const [start, stop] = this.range();
    if (this.loop) return start + ((Math.max(frame - start, 0) + count) % (stop - start));
    return Math.min(frame + count, this.last);
  }

  tick(now) {
    if (!this.playing) return;
    this.ticking = requestAnimationFrame((later) => this.tick(later));
    // A frame that is waited for is drawn when it arrives.
    if (this.isWaiting) return;
    const isReady = (frame) => this.entry(frame) !== null;
    const frame = this.clock.next(now, this.shown, (f, n) => this.after(f, n), isReady);
    if (frame === null) {
      this.need();
      return;
    }
    this.go(frame);
    if (this.shown === frame) this.clock.drawn(now);
    if (this.shown === this.last && !this.loop) this.pause();
  }

  close() {
    this.pause();
    this.frames.close();
    this.resizes.disconnect();
    this.tellPlayhead.cancel();
    clearTimeout(this.slow);
  }
}
