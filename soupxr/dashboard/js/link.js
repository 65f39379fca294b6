// The line to Python: what is sent, and the watch over whether anybody still answers.

const PING_MS = 2000;
const LOST_MS = 5000;
const CHECK_MS = 500;

class Link {
  /**
   * @param {object} model Has `send_msg(object)` and `on("msg:custom", listener)`.
   * @param {(message: object) => void} receive
   * @param {(lost: boolean) => void} changed Told when the line is lost, and when it is back.
   */
  constructor(model, receive, changed) {
    this.model = model;
    this.receive = receive;
    this.changed = changed;
    this.token = -1;
    this.seq = 0;
    this.answered = 0;
    this.lost = false;
    this.cut = false;
    this.closed = false;
    this.pings = 0;
    this.heard = performance.now();
    this.onMessage = (event) => this.handle(event);
    this.onVisible = () => this.returned();
  }

  /** Listen, say that the page is there, and start to watch. */
  open() {
    this.model.on("msg:custom", this.onMessage);
    document.addEventListener("visibilitychange", this.onVisible);
    this.watchDocument();
    this.send("ready");
    this.timers = [setInterval(() => this.ping(), PING_MS), setInterval(() => this.check(), CHECK_MS)];
    this.ping();
  }

  close() {
    for (const timer of this.timers) clearInterval(timer);
    document.removeEventListener("visibilitychange", this.onVisible);
    if (typeof this.model.off === "function") this.model.off("msg:custom", this.onMessage);
    this.closed = true;
  }

  send(type, fields = {}) {
    if (!this.closed && !this.cut) this.model.send_msg({ type, ...fields });
  }

  /** Send something about the trial on screen. */
  sendTrial(type, fields = {}) {
    this.send(type, { token: this.token, ...fields });
  }

  action(name, fields = {}) {
    this.seq += 1;
    this.sendTrial("action", { seq: this.seq, name, ...fields });
  }

  /** Whether Python has answered all actions; those of a trial that was left need no answer. */
  get isAnswered() {
    return this.answered === this.seq;
  }

  answer(seq = this.seq) {
    this.answered = Math.max(this.answered, seq);
  }

  handle(event) {
    const message = event.data === undefined ? event : event.data;
    if (this.closed || message === null || typeof message.type !== "string") return;
    // Whatever arrives shows that somebody is there.
    this.hear();
    if (message.type !== "pong") this.receive(message);
  }

  hear() {
    this.heard = performance.now();
    this.setLost(false);
  }

  ping() {
    if (document.hidden) return;
    this.pings += 1;
    this.send("ping", { n: this.pings });
  }

  check() {
    // A hidden page's timers sleep: silence there means nothing.
    if (!document.hidden && performance.now() - this.heard > LOST_MS) this.setLost(true);
  }

  returned() {
    if (document.hidden) return;
    this.heard = performance.now();
    this.ping();
  }

  setLost(lost) {
    if (lost === this.lost) return;
    this.lost = lost;
    this.changed(lost);
  }

  /** Bokeh says at once when its socket closes; other hosts have no such thing. */
  watchDocument() {
    const host = this.model.document;
    if (!host || typeof host.on_event !== "function") return;
    host.on_event("connection_lost", () => {
      this.cut = true;
      if (!this.closed) this.setLost(true);
    });
    host.on_event("client_reconnected", () => {
      this.cut = false;
    });
  }
}
