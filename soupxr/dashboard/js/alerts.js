// What must be known now: a lost line, a conflict, a failed save, a notice.

const LOST =
  "Connection to soupxr lost. Nothing more can be saved; " +
  "start it again where it ran, then reload this page.";

/** Bars above everything: lost connection, conflict, notices. */
class Alerts {
  /** @param {object} told `reload()`, and `resolve(fields)` for a conflict. */
  constructor(told) {
    this.told = told;
    this.banner = this.buildBanner();
    this.conflict = this.buildConflict();
    this.failed = this.buildFailed();
    this.notices = make("div", { class: "notices", role: "status" });
    const bars = [this.banner, this.conflict, this.failed, this.notices];
    this.element = make("div", { class: "alerts" }, ...bars);
  }

  buildBanner() {
    const reload = plainButton("Reload page", "reload-page", () => this.told.reload());
    const props = { class: "bar error", "data-test": "banner", role: "alert", hidden: true };
    return make("div", props, icon("warning"), make("span", { class: "say", text: LOST }), reload);
  }

  buildFailed() {
    this.failedText = make("span", { class: "say" });
    const props = { class: "bar error", "data-test": "failed", role: "alert", hidden: true };
    return make("div", props, icon("warning"), this.failedText);
  }

  buildConflict() {
    this.conflictText = make("span", { class: "say" });
    const reload = plainButton("Reload", "conflict-reload", () => this.resolve({ how: "reload" }));
    const ask = () => this.askName(true);
    const other = plainButton("Save as another annotator…", "conflict-save-as", ask);
    this.nameForm = this.buildNameForm();
    const props = { class: "bar warn", "data-test": "conflict", role: "alert", hidden: true };
    return make("div", props, icon("warning"), this.conflictText, reload, other, this.nameForm);
  }

  buildNameForm() {
    this.name = make("input", {
      type: "text",
      class: "box",
      placeholder: "annotator",
      "data-test": "conflict-name",
      "aria-label": "Name of the other annotator",
      autocomplete: "off",
      spellcheck: "false",
    });
    const save = plainButton("Save", "conflict-confirm", () => {});
    save.type = "submit";
    save.classList.add("primary", "text");
    const submit = (event) => {
      event.preventDefault();
      const annotator = this.name.value.trim();
      if (annotator !== "") this.resolve({ how: "save_as", annotator });
    };
    return make("form", { class: "group", hidden: true, on: { submit } }, this.name, save);
  }

  askName(ask) {
    this.nameForm.hidden = !ask;
    if (ask) this.name.focus();
  }

  resolve(fields) {
    this.name.blur();
    this.told.resolve(fields);
  }

  /** Say why something is not saved, until it is. */
  setSaved({ state, text }) {
    if (state === "conflict") this.setConflict(text);
    else this.conflict.hidden = true;
    if (state === "failed") this.failedText.textContent = text || SAVED_TEXT.failed;
    // While it is tried again the reason stays.
    if (state !== "saving") this.failed.hidden = state !== "failed";
  }

  setConflict(text) {
    if (this.conflict.hidden) this.askName(false);
    this.conflict.hidden = false;
    this.conflictText.textContent = text || SAVED_TEXT.conflict;
  }

  setLost(lost) {
    this.banner.hidden = !lost;
  }

  notice({ text, kind }) {
    const isError = kind === "error";
    const props = { class: `bar ${isError ? "error" : "info"}`, "data-test": "notice" };
    const bar = make("div", { ...props, "data-kind": kind });
    const close = iconButton("close", "Dismiss", "notice-dismiss", () => bar.remove());
    const say = make("span", { class: "say", text });
    bar.append(icon(isError ? "warning" : "info"), say, close);
    // The same words again take the place of the old ones.
    for (const old of this.notices.children) {
      if (old.querySelector(".say").textContent === text) old.remove();
    }
    this.notices.prepend(bar);
    while (this.notices.children.length > 3) this.notices.lastChild.remove();
  }
}

function plainButton(text, test, click) {
  const props = { type: "button", class: "button plain", "data-test": test, text };
  return make("button", { ...props, on: { click } });
}
