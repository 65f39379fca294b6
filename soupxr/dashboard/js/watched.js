// Which frames somebody has looked at, told in stretches.

const WATCHED_MS = 200;

class Watched {
  constructor(link) {
    this.link = link;
    this.stretches = [];
    this.tell = throttle(() => this.send(), WATCHED_MS);
  }

  /** Note that a frame was drawn. */
  note(frame) {
    const last = this.stretches.at(-1);
    if (last !== undefined && last[1] === frame) last[1] = frame + 1;
    else this.stretches.push([frame, frame + 1]);
    this.tell();
  }

  send() {
    const stretches = mergeStretches(this.stretches);
    this.stretches = [];
    for (const [start, stop] of stretches) this.link.sendTrial("watched", { start, stop });
  }

  /** Tell at once what has not been told. */
  flush() {
    this.tell.flush();
  }

  clear() {
    this.tell.cancel();
    this.stretches = [];
  }
}
