// Keys act in the order in which they were pressed, also where one looks at what another changed.

/** Commands that look at the labels, the current behavior or the region as Python last told them. */
const LOOKING = new Set(["edge", "disagreement", "escape"]);

class InOrder {
  /** @param {() => boolean} isAnswered Whether Python has answered all that was asked of it. */
  constructor(isAnswered) {
    this.isAnswered = isAnswered;
    this.waiting = [];
  }

  /** Do it now, or after what it depends on; a key that is held down is not waited for. */
  do(name, command, isHeld = false) {
    if (this.waiting.length === 0 && this.isFree(name)) command();
    else if (!isHeld) this.waiting.push({ name, command });
  }

  goOn() {
    while (this.waiting.length > 0 && this.isFree(this.waiting[0].name)) {
      this.waiting.shift().command();
    }
  }

  clear() {
    this.waiting = [];
  }

  isFree(name) {
    return !LOOKING.has(name) || this.isAnswered();
  }
}
