// The list of trials: filter, order, and only as many rows as are in sight.

const ROW = 50;
const SPARE = 4;
/** A trial that has not come by then is no longer marked as on its way. */
const OPEN_MS = 5000;
const STATUS = [
  "not inferred",
  "features only",
  "complete",
  "failed",
  "thresholds half applied",
  "half replaced",
];
const STATUS_CLASS = ["none", "features", "complete", "failed", "deciding", "replacing"];
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

class Trials {
  /** @param {object} told `open(key)`, `canOpen()`, and `step(±1)` for the two buttons. */
  constructor(told) {
    this.told = told;
    this.columns = { keys: [], status: {} };
    this.modes = [];
    this.shown = [];
    this.key = null;
    this.pending = null;
    this.pool = [];
    this.build();
  }

  // ------------------------------------------------------------------ elements

  build() {
    this.filter = make("input", {
      type: "search",
      class: "box filter",
      placeholder: "Filter trials",
      "data-test": "filter",
      "aria-label": "Filter trials",
      title: "Words of animal, session or trial; is:labelled, is:unlabelled, is:failed …",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.arrange() },
    });
    this.sort = make("select", {
      class: "select",
      "data-test": "sort",
      "aria-label": "Order of the trials",
      on: { change: () => this.arrange() },
    });
    this.count = make("span", { class: "count", "data-test": "count" });
    this.previous = iconButton("up", "Previous trial", "previous", () => this.told.step(-1));
    this.next = iconButton("down", "Next trial", "next", () => this.told.step(1));
    this.spacer = make("div", { class: "spacer", role: "presentation" });
    this.window = make("div", {
      class: "rows",
      role: "listbox",
      "aria-label": "Trials",
      "data-test": "trials",
      tabindex: "0",
      on: { scroll: () => this.draw(), click: (event) => this.click(event) },
    }, this.spacer);
    this.empty = make("p", { class: "empty", text: "No trial matches.", hidden: true });
    const box = make("label", { class: "search" }, icon("search"), this.filter);
    const foot = make("div", { class: "row foot" }, this.count, this.previous, this.next);
    this.element = make("div", { class: "trials" }, box, this.sort, this.empty, this.window, foot);
    this.resizes = new ResizeObserver(() => this.draw());
    this.resizes.observe(this.window);
  }

  close() {
    clearTimeout(this.patience);
    this.resizes.disconnect();
  }

  // ------------------------------------------------------------------ what is known

  setModes(modes) {
    this.modes = modes;
    this.listOrders();
  }

  listOrders() {
    const orders = [
      { value: "stored", label: "Stored order" },
      { value: "name", label: "Name" },
      { value: "long", label: "Longest first" },
      { value: "short", label: "Shortest first" },
      { value: "unlabelled", label: "Unlabelled first" },
      { value: "labelled", label: "Labelled first" },
      ...this.modes.map((mode) => ({ value: `status ${mode}`, label: `${mode}: complete first` })),
    ];
    setOptions(this.sort, orders);
  }

  /**
   * Take the table of trials anew. Scroll, filter and choice stay as they are, and so does the
   * order while the trials are the same ones: rows do not run away from under the mouse.
   */
  setTable(columns) {
    const { keys } = this.columns;
    const sameCount = keys.length === columns.keys.length;
    const isSame = sameCount && keys.every((key, i) => key === columns.keys[i]);
    this.columns = { status: {}, labelled: [], ...columns };
    if (isSame) {
      this.draw();
      return;
    }
    this.words = columns.keys.map((key, i) =>
      `${key} ${columns.animals[i]} ${columns.sessions[i]} trial ${columns.ids[i]}`.toLowerCase(),
    );
    this.arrange();
  }

  setCurrent(key) {
    const isNew = key !== this.key;
    this.key = key;
    // Trials that were passed over on the way may still come before the one that is wanted.
    if (key === this.pending) this.setPending(null);
    if (isNew) this.reveal();
    this.draw();
  }

  // ------------------------------------------------------------------ filter and order

  arrange() {
    const tests = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = this.columns.keys.map((_, i) => i);
    this.shown = this.inOrder(rows.filter((i) => tests.every((test) => this.matches(i, test))));
    const [shown, total] = [this.shown.length, this.columns.keys.length];
    const all = plural(total, "trial");
    this.count.textContent = shown === total ? all : `${formatCount(shown)} of ${all}`;
    this.empty.hidden = shown > 0 || total === 0;
    this.draw();
  }

  matches(i, test) {
    if (!test.startsWith("is:")) return this.words[i].includes(test);
    const is = test.slice(3);
    const { labelled, reviewed } = this.columns;
    if (is === "labelled") return labelled[i] === 1;
    if (is === "unlabelled") return labelled[i] !== 1;
    if (is === "reviewed") return Boolean(reviewed && reviewed[i]);
    return this.modes.some((mode) => STATUS_CLASS[this.status(mode, i)].startsWith(is));
  }

  status(mode, i) {
    const codes = this.columns.status[mode];
    return codes === undefined ? 0 : codes[i];
  }

  inOrder(rows) {
    const order = this.sort.value;
    const { keys, frames, labelled } = this.columns;
    const by = (number) => rows.sort((a, b) => number(a) - number(b));
    if (order === "name") return rows.sort((a, b) => collator.compare(keys[a], keys[b]));
    if (order === "long") return by((i) => -frames[i]);
    if (order === "short") return by((i) => frames[i]);
    if (order === "labelled") return by((i) => -labelled[i]);
    if (order === "unlabelled") return by((i) => labelled[i]);
    if (!order.startsWith("status ")) return rows;
    const mode = order.slice("status ".length);
    const rank = [2, 1, 0, 3, 1, 1];
    return by((i) => rank[this.status(mode, i)]);
  }

  // ------------------------------------------------------------------ moving

  /** Key of the next or previous trial as the list stands now; null at its end. */
  neighbour(step) {
    const at = this.shown.findIndex((i) => this.columns.keys[i] === this.wanted);
    const index = at >= 0 ? at + step : this.besides(step);
    return index >= 0 && index < this.shown.length ? this.columns.keys[this.shown[index]] : null;
  }

  /** Place next to that of a trial which the filter took away, had it stayed. */
  besides(step) {
    const all = this.inOrder(this.columns.keys.map((_, i) => i));
    const rank = new Map(all.map((i, place) => [i, place]));
    const own = rank.get(this.columns.keys.indexOf(this.wanted));
    const after = this.shown.findIndex((i) => rank.get(i) > own);
    const next = after < 0 ? this.shown.length : after;
    return step > 0 ? next : next - 1;
  }

  /** Key of the trial that is, or is about to be, on screen. */
  get wanted() {
    return this.pending === null ? this.key : this.pending;
  }

  /** Ask for a trial; the list marks it as on its way. */
  open(key) {
    if (key === null || key === this.wanted || !this.told.canOpen()) return;
    this.setPending(key);
    this.told.open(key);
    this.reveal();
    this.draw();
  }

  /** Mark a trial as on its way, though not for ever. */
  setPending(key) {
    clearTimeout(this.patience);
    this.pending = key;
    if (key === null) return;
    this.patience = setTimeout(() => {
      this.pending = null;
      this.draw();
    }, OPEN_MS);
  }

  click(event) {
    const row = event.target.closest("[data-key]");
    if (row !== null) this.open(row.dataset.key);
  }

  /** Arrow keys within the list; whether the key was one of them. */
  arrow(name) {
    const steps = { ArrowUp: -1, ArrowDown: 1 };
    if (!(name in steps)) return false;
    this.open(this.neighbour(steps[name]));
    return true;
  }

  // ------------------------------------------------------------------ rows in sight

  get rowHeight() {
    return Math.round((ROW * Number.parseFloat(getComputedStyle(this.element).fontSize)) / 13);
  }

  reveal() {
    const index = this.shown.findIndex((i) => this.columns.keys[i] === this.wanted);
    if (index < 0) return;
    const height = this.rowHeight;
    const { scrollTop, clientHeight } = this.window;
    const top = index * height;
    if (top < scrollTop) this.window.scrollTop = top;
    else this.window.scrollTop = Math.max(scrollTop, top + height - clientHeight);
  }

  draw() {
    const height = this.rowHeight;
    this.spacer.style.height = `${height * this.shown.length}px`;
    const { scrollTop, clientHeight } = this.window;
    const first = clamp(Math.floor(scrollTop / height) - SPARE, 0, this.shown.length);
    const last = Math.min(this.shown.length, Math.ceil((scrollTop + clientHeight) / height) + SPARE);
    this.fillPool(Math.max(0, last - first));
    this.pool.forEach((row, i) => this.drawRow(row, first + i, height));
    const current = this.pool.find((row) => row.element.dataset.key === this.key);
    this.window.setAttribute("aria-activedescendant", current === undefined ? "" : current.element.id);
  }

  fillPool(count) {
    while (this.pool.length > count) this.pool.pop().element.remove();
    while (this.pool.length < count) {
      const row = this.makeRow(this.pool.length);
      this.pool.push(row);
      this.spacer.append(row.element);
    }
  }

  makeRow(number) {
    const title = make("span", { class: "title" });
    const under = make("span", { class: "under" });
    const badges = make("span", { class: "badges" });
    const text = make("span", { class: "text" }, title, under);
    const props = { class: "trial", role: "option", "data-test": "trial", id: `trial-${number}` };
    return { element: make("div", props, text, badges), title, under, badges };
  }

  drawRow(row, place, height) {
    const i = this.shown[place];
    const { keys, animals, sessions, ids } = this.columns;
    const { element, title, under, badges } = row;
    element.style.transform = `translateY(${place * height}px)`;
    element.style.height = `${height}px`;
    element.setAttribute("aria-selected", String(keys[i] === this.key));
    element.setAttribute("aria-busy", String(keys[i] === this.pending));
    element.setAttribute("aria-setsize", this.shown.length);
    element.setAttribute("aria-posinset", place + 1);
    element.dataset.key = keys[i];
    title.textContent = `trial ${ids[i]}`;
    under.textContent = `${animals[i]} · ${sessions[i]}`;
    element.title = keys[i];
    badges.replaceChildren(...this.badges(i));
  }

  /** A letter for each mode, its look saying how far it is, and a tick for what a person labelled. */
  badges(i) {
    const { labelled, reviewed } = this.columns;
    const marks = this.modes.map((mode) => {
      const code = this.status(mode, i);
      const text = code === 3 ? "!" : mode.slice(0, 1).toUpperCase();
      return makeBadge(`mode ${STATUS_CLASS[code]}`, `${mode}: ${STATUS[code]}`, text);
    });
    const isReviewed = Boolean(reviewed && reviewed[i]);
    const label = isReviewed ? "reviewed" : labelled[i] === 1 ? "labelled" : "not labelled";
    const tick = makeBadge("tick", label, "");
    if (label !== "not labelled") tick.append(icon("check"));
    return [...marks, tick];
  }
}

function makeBadge(kind, label, text) {
  const props = { class: kind, title: label, role: "img", "aria-label": label };
  return make("span", { ...props, text });
}
