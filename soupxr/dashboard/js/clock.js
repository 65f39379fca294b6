// When the next frame is due while playing, and which one it is.

const MAX_DRAWS = 60;
const MIN_DRAWS = 8;
/** A page that slept longer than this goes on from where it was. */
const SLEPT_MS = 700;

/**
 * Clock of a playback that draws every frame: one is due each period, and a frame that is late
 * delays all after it.
 */
class EveryFrame {
  constructor(rate) {
    this.period = 1000 / rate;
    this.due = null;
  }

  /** Frame to turn to at `now`; null while it is not time. */
  next(now, shown, after) {
    if (this.due === null) this.due = now + this.period;
    // Screens tick at 60 Hz or so: a little early is nearer than a whole tick late.
    return now >= this.due - 4 ? after(shown, 1) : null;
  }

  drawn(now) {
    this.due = Math.max(this.due + this.period, now);
  }

  /** Frames that come next, first those needed first. */
  plan(shown, after, count) {
    return Array.from({ length: count }, (_, i) => after(shown, i + 1));
  }
}

/**
 * Clock of a playback too fast to draw every frame: it holds its pace, draws each `stride`-th
 * frame of those that are there, and takes longer strides where pictures arrive too slowly.
 */
class HoldPace {
  constructor(rate) {
    this.rate = rate;
    this.draws = MAX_DRAWS;
    this.ticked = -Infinity;
    this.restart(0, null);
  }

  restart(now, shown) {
    this.start = now;
    this.origin = shown;
    this.step = 0;
    this.present = 0;
  }

  frameOf(step, after) {
    return after(this.origin, Math.round((step * this.rate) / this.draws));
  }

  /** Latest frame that is due and there; null if there is none. */
  next(now, shown, after, isReady) {
    if (now - this.ticked > SLEPT_MS) this.restart(now, shown);
    this.ticked = now;
    this.present = Math.floor(((now - this.start) / 1000) * this.draws);
    for (let step = this.present; step > this.step; step -= 1) {
      const frame = this.frameOf(step, after);
      if (!isReady(frame)) continue;
      this.step = step;
      return frame;
    }
    return this.present - this.step > this.draws / 3 ? this.slower(now, shown, after) : null;
  }

  /** Take longer strides; if they are as long as they get, wait for the next picture. */
  slower(now, shown, after) {
    const frame = this.frameOf(this.present, after);
    const slowest = this.draws === MIN_DRAWS;
    this.draws = Math.max(MIN_DRAWS, Math.round(this.draws * 0.7));
    this.restart(now, shown);
    return slowest ? frame : null;
  }

  drawn() {}

  plan(shown, after, count) {
    if (this.origin === null) return [];
    return Array.from({ length: count }, (_, i) => this.frameOf(this.present + i + 1, after));
  }
}

function clockFor(rate) {
  return rate <= MAX_DRAWS ? new EveryFrame(rate) : new HoldPace(rate);
}
