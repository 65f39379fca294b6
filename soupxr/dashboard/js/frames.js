// Frames of one trial and view: asked for, received, decoded, kept within bounds.

const MAX_BITMAPS = 48;
const MAX_BITMAP_BYTES = 64e6;
const MAX_JPEG_BYTES = 32e6;
const MAX_PREFETCHES = 3;
const PATIENCE_MS = 3000;

/** Map that forgets what was used longest ago once its entries weigh too much. */
class Recent {
  constructor(maxBytes, maxCount, dropped) {
    this.entries = new Map();
    this.maxBytes = maxBytes;
    this.maxCount = maxCount;
    this.dropped = dropped;
    this.bytes = 0;
  }

  has(key) {
    return this.entries.has(key);
  }

  get(key) {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.value;
  }

  set(key, value, bytes) {
    this.remove(key);
    this.entries.set(key, { value, bytes });
    this.bytes += bytes;
    for (const oldest of this.entries.keys()) {
      const fits = this.bytes <= this.maxBytes && this.entries.size <= this.maxCount;
      if (fits || oldest === key) break;
      this.remove(oldest);
    }
  }

  remove(key) {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.bytes -= entry.bytes;
    this.dropped(entry.value);
  }

  clear() {
    for (const key of [...this.entries.keys()]) this.remove(key);
  }
}

class Frames {
  /**
   * @param {(frame: number, urgent: boolean, direction: number) => void} ask Sends a want.
   * @param {(frame: number) => void} ready Told when a frame can be drawn.
   */
  constructor(ask, ready) {
    this.ask = ask;
    this.ready = ready;
    this.bitmaps = new Recent(MAX_BITMAP_BYTES, MAX_BITMAPS, (bitmap) => bitmap.close());
    this.jpegs = new Recent(MAX_JPEG_BYTES, Infinity, () => {});
    this.errors = new Map();
    this.asked = new Map();
    this.decoding = new Set();
    this.wanted = null;
    this.plan = [];
    this.direction = 0;
    this.epoch = 0;
    this.timer = setInterval(() => this.loseHope(), 250);
  }

  /** Forget everything: another trial or view. Pictures take `bytes` each once decoded. */
  reset(bytes) {
    this.epoch += 1;
    for (const store of [this.bitmaps, this.jpegs, this.errors, this.asked, this.decoding]) {
      store.clear();
    }
    this.wanted = null;
    this.plan = [];
    this.room = clamp(Math.floor(MAX_BITMAP_BYTES / bytes) - 1, 2, MAX_BITMAPS - 1);
  }

  close() {
    clearInterval(this.timer);
    this.reset(1);
  }

  /** Decoded picture, or an error, if there is either: `{bitmap}` or `{error}`. */
  peek(frame) {
    const bitmap = this.bitmaps.get(frame);
    if (bitmap !== undefined) return { bitmap };
    const error = this.errors.get(frame);
    return error === undefined ? null : { error };
  }

  /**
   * Say what is needed: the frame that should be on screen (null where it is there already), and
   * what will probably come next, most probable first.
   */
  want(frame, plan, direction) {
    this.wanted = frame;
    this.plan = plan;
    this.direction = direction;
    if (frame !== null) this.fetch(frame);
    this.prefetch();
  }

  fetch(frame) {
    if (this.jpegs.has(frame)) {
      this.decode(frame);
      return;
    }
    const request = this.asked.get(frame);
    // One that waits in the queue as a prefetch, or was overtaken since, is asked for again.
    const newest = request !== undefined && request.urgent && request === this.newest;
    if (newest || this.decoding.has(frame)) return;
    this.newest = this.send(frame, true);
  }

  send(frame, urgent) {
    const before = this.asked.get(frame);
    const open = before === undefined ? 0 : before.open;
    const request = { urgent, open: open + 1, at: performance.now() };
    this.asked.set(frame, request);
    this.ask(frame, urgent, this.direction);
    return request;
  }

  prefetch() {
    let outstanding = 0;
    for (const request of this.asked.values()) outstanding += request.urgent ? 0 : 1;
    for (const frame of this.plan.slice(0, this.room)) {
      if (this.bitmaps.has(frame) || this.errors.has(frame)) continue;
      if (this.jpegs.has(frame)) {
        this.decode(frame);
      } else if (!this.asked.has(frame) && outstanding < MAX_PREFETCHES) {
        outstanding += 1;
        this.send(frame, false);
      }
    }
  }

  /** Take an answer about a frame of this trial and view. */
  receive(message) {
    const { frame } = message;
    if (message.dropped) this.receiveDropped(frame);
    else if (message.error !== undefined && message.error !== null) this.fail(frame, message.error);
    else this.receivePicture(frame, message.jpeg);
    this.prefetch();
  }

  receiveDropped(frame) {
    const request = this.asked.get(frame);
    if (request === undefined) return;
    request.open -= 1;
    if (request.open > 0) return;
    this.asked.delete(frame);
    if (frame === this.wanted) this.fetch(frame);
  }

  receivePicture(frame, jpeg) {
    this.asked.delete(frame);
    const blob = toBlob(jpeg);
    this.jpegs.set(frame, blob, blob.size);
    this.errors.delete(frame);
    if (frame === this.wanted || this.plan.includes(frame)) this.decode(frame);
  }

  fail(frame, error) {
    this.asked.delete(frame);
    this.errors.set(frame, error);
    this.ready(frame);
  }

  async decode(frame) {
    if (this.decoding.has(frame) || this.bitmaps.has(frame)) return;
    const { epoch } = this;
    this.decoding.add(frame);
    let bitmap = null;
    try {
      bitmap = await createImageBitmap(this.jpegs.get(frame));
    } catch {
      // Told below: what came was no picture.
    }
    if (epoch !== this.epoch) {
      if (bitmap !== null) bitmap.close();
      return;
    }
    this.decoding.delete(frame);
    if (bitmap === null) {
      this.fail(frame, "what arrived is not a JPEG picture");
      return;
    }
    this.bitmaps.set(frame, bitmap, 4 * bitmap.width * bitmap.height);
    this.ready(frame);
  }

  /** Stop waiting for what has not come; the frame that is still wanted is asked for again. */
  loseHope() {
    const late = performance.now() - PATIENCE_MS;
    for (const [frame, request] of [...this.asked]) {
      if (request.at < late) this.asked.delete(frame);
    }
    const { wanted } = this;
    if (wanted !== null && !this.asked.has(wanted) && this.peek(wanted) === null) this.fetch(wanted);
  }
}
