// The keyboard. Keys act on the page unless a text box has them; in a notebook only after a click
// into the page, and then the notebook does not see them.

const TEXT_TYPES = new Set(["text", "search", "number", "password", "email", "url", "tel", ""]);
/** What each plain key does: a name of the page's commands, and its argument. */
const COMMANDS = {
  1: ["mark", 1],
  2: ["mark", 0],
  3: ["mark", -1],
  q: ["current", -1],
  s: ["current", 1],
  r: ["reset", "all"],
  t: ["reset", "behavior"],
  y: ["save"],
  ArrowLeft: ["step", -1],
  ArrowRight: ["step", 1],
  "[": ["edge", -1],
  "]": ["edge", 1],
  i: ["setRegionEdge", "start"],
  o: ["setRegionEdge", "stop"],
  " ": ["play"],
  n: ["trial", 1],
  p: ["trial", -1],
  a: ["fillAbsent"],
  d: ["disagreement", 1],
  Escape: ["escape"],
};
const SHIFTED = { ArrowLeft: ["step", -10], ArrowRight: ["step", 10], d: ["disagreement", -1] };
/** For keyboards on which these need a modifier: the key's place. */
const PLACES = { BracketLeft: "[", BracketRight: "]", Digit1: "1", Digit2: "2", Digit3: "3" };
/** Held down, these go on; the others act once a press. */
const REPEATS = new Set(["step", "edge", "current", "disagreement"]);

/** Whether an element takes typed text, or choices by letter. */
function takesText(element) {
  if (!(element instanceof Element)) return false;
  if (element.isContentEditable || element.matches("textarea, select")) return true;
  return element.matches("input") && TEXT_TYPES.has(element.getAttribute("type") || "");
}

/** Whether the page is part of a notebook. */
function inNotebook() {
  const { body } = document;
  const names = [...body.attributes].some(({ name }) => /^data-(jp|vscode)-/.test(name));
  return names || document.querySelector("[class*='jp-Notebook'], .jp-LabShell, .notebook_app") !== null;
}

class Keys {
  /**
   * @param {HTMLElement} root The page; events from within it are its own.
   * @param {object} commands Functions by the names above, and `undo`, `redo`, `listKey`.
   * @param {InOrder} order
   */
  constructor(root, commands, order) {
    this.root = root;
    this.commands = commands;
    this.order = order;
    this.embedded = inNotebook();
    this.armed = !this.embedded;
    this.onKey = (event) => this.press(event);
    this.onPointer = (event) => this.point(event);
    window.addEventListener("keydown", this.onKey, true);
    window.addEventListener("pointerdown", this.onPointer, true);
  }

  close() {
    window.removeEventListener("keydown", this.onKey, true);
    window.removeEventListener("pointerdown", this.onPointer, true);
  }

  setEmbedded(embedded) {
    this.embedded = embedded || inNotebook();
    this.setArmed(!this.embedded);
  }

  setArmed(armed) {
    this.armed = armed;
    this.root.toggleAttribute("data-armed", armed);
  }

  point(event) {
    if (this.embedded) this.setArmed(event.composedPath().includes(this.root));
  }

  press(event) {
    if (!this.armed || event.isComposing) return;
    const target = event.composedPath()[0];
    if (takesText(target)) {
      this.pressInText(event, target);
      return;
    }
    const forButton = isPressable(event.key, target);
    const handled = !forButton && (this.chord(event) || this.plain(event));
    if (handled || (this.embedded && isPlain(event))) {
      event.stopImmediatePropagation();
      if (!forButton) event.preventDefault();
    }
  }

  /** The text box keeps the key; Escape leaves it. A notebook would take letters for commands. */
  pressInText(event, target) {
    if (!event.composedPath().includes(this.root)) return;
    const isEscape = event.key === "Escape";
    if (isEscape) target.blur();
    if (isEscape || (this.embedded && !event.ctrlKey && !event.metaKey)) {
      event.stopImmediatePropagation();
    }
  }

  chord(event) {
    const isChord = (event.ctrlKey || event.metaKey) && !event.altKey;
    const key = event.key.toLowerCase();
    if (!isChord || (key !== "z" && key !== "y")) return false;
    if (key === "y" && event.shiftKey) return false;
    const name = key === "y" || event.shiftKey ? "redo" : "undo";
    this.order.do(name, this.commands[name]);
    return true;
  }

  plain(event) {
    const alternate = event.getModifierState("AltGraph");
    if ((event.ctrlKey || event.altKey) && !alternate) return false;
    if (event.metaKey) return false;
    if (this.commands.listKey(event)) return true;
    const command = commandOf(event);
    if (command === undefined) return false;
    const [name, argument] = command;
    const isHeld = event.repeat;
    if (!isHeld || REPEATS.has(name)) {
      this.order.do(name, () => this.commands[name](argument, isHeld), isHeld);
    }
    return true;
  }
}

/** Whether a notebook would take a key for a command of its own. */
function isPlain(event) {
  const isCommand = /^(.|Arrow.*|Enter|Backspace|Delete)$/u.test(event.key);
  return isCommand && !event.ctrlKey && !event.metaKey;
}

/** Whether a key belongs to the button that has the focus. */
function isPressable(key, target) {
  const isButton = target instanceof Element && target.matches("button, summary, a[href]");
  return isButton && (key === " " || key === "Enter");
}

function commandOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.shiftKey && key in SHIFTED) return SHIFTED[key];
  if (key in COMMANDS) return COMMANDS[key];
  return event.shiftKey ? undefined : COMMANDS[PLACES[event.code]];
}
