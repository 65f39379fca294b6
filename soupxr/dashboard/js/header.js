// The line above the raster, and the legend of keys below it.

const SAVED_TEXT = {
  idle: "",
  saving: "Saving …",
  saved: "Saved",
  failed: "Not saved",
  conflict: "Conflict",
  "read-only": "Read only",
};

/** Head of the raster's card: current behavior, region, controls, undo and redo, saved or not. */
class Header {
  /** @param {object} told `choose(id, value)`, `act(name)`, `zoom(factor)`, `whole()`. */
  constructor(told) {
    this.told = told;
    this.swatch = make("span", { class: "swatch" });
    this.current = make("strong", { "data-test": "current" });
    this.region = make("span", { class: "facts", "data-test": "region" });
    this.controls = make("div", { class: "chosen" });
    this.undo = iconButton("undo", "Undo (Ctrl+Z)", "undo", () => told.act("undo"));
    this.redo = iconButton("redo", "Redo (Ctrl+Shift+Z)", "redo", () => told.act("redo"));
    this.history = make("div", { class: "group" }, this.undo, this.redo);
    this.saved = make("span", { class: "saved", "data-test": "saved", "data-state": "idle" });
    const name = make("h2", { class: "heading" }, this.swatch, this.current);
    const parts = [name, this.region, this.controls, this.history, this.buildZoom(), this.saved];
    this.element = make("header", { class: "row" }, ...parts);
  }

  buildZoom() {
    const out = iconButton("minus", "Zoom out", "zoom-out", () => this.told.zoom(1 / 1.6));
    const inn = iconButton("plus", "Zoom in", "zoom-in", () => this.told.zoom(1.6));
    const whole = iconButton("whole", "Whole trial", "zoom-whole", () => this.told.whole());
    return make("div", { class: "group" }, out, inn, whole);
  }

  setEditor(canEdit) {
    this.history.hidden = !canEdit;
  }

  setEdit(edit, behavior, dark, fps) {
    this.swatch.style.background = dark ? behavior.dark : behavior.light;
    this.current.textContent = behavior.name;
    this.undo.disabled = !edit.can_undo;
    this.redo.disabled = !edit.can_redo;
    this.region.textContent = edit.region === null ? "" : describeRegion(edit.region, fps);
  }

  setSaved({ state, text, version }) {
    this.saved.textContent = text || (SAVED_TEXT[state] ?? state);
    this.saved.title = this.saved.textContent;
    this.saved.dataset.state = state;
    this.saved.dataset.version = version === undefined || version === null ? "" : version;
  }

  setControls(controls) {
    const held = this.controls.getRootNode().activeElement;
    const focused = held && this.controls.contains(held) ? held.dataset.test : null;
    this.controls.replaceChildren(...controls.map((control) => this.makeControl(control)));
    if (focused === null) return;
    const again = [...this.controls.querySelectorAll("[data-test]")];
    const same = again.find((element) => element.dataset.test === focused);
    if (same !== undefined) same.focus();
  }

  makeControl(control) {
    const makers = { select: this.makeSelect, toggle: this.makeToggle, button: this.makeButton };
    return makers[control.kind].call(this, control);
  }

  props({ id, hint, disabled }) {
    return { "data-test": `control-${id}`, title: hint || null, disabled: Boolean(disabled) };
  }

  makeSelect(control) {
    const select = make("select", { class: "select", ...this.props(control) });
    setOptions(select, control.options, control.value);
    select.addEventListener("change", () => {
      const chosen = control.options.find(({ value }) => String(value) === select.value);
      this.told.choose(control.id, chosen.value);
    });
    return make("label", { class: "control" }, make("span", { text: control.label }), select);
  }

  makeToggle(control) {
    const props = { type: "button", class: "button toggle", role: "switch", ...this.props(control) };
    const button = make("button", { ...props, text: control.label });
    const show = (on) => button.setAttribute("aria-checked", String(on));
    show(Boolean(control.value));
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-checked") !== "true";
      show(on);
      this.told.choose(control.id, on);
    });
    return button;
  }

  makeButton(control) {
    const props = { type: "button", class: "button plain", ...this.props(control) };
    const button = make("button", { ...props, text: control.label });
    button.addEventListener("click", () => this.told.choose(control.id, true));
    return button;
  }
}

function describeRegion([start, stop], fps) {
  return `Region ${start}–${stop} · ${formatSeconds((stop - start) / fps, fps)}`;
}

/** Keys and what they do, in the order in which Python names them. */
function makeLegend(keys) {
  const entry = ({ keys: names, label }) =>
    make("span", { class: "entry" }, ...names.map((name) => make("kbd", { text: name })), label);
  const props = { class: "legend", "data-test": "legend", "aria-label": "Keys" };
  return make("footer", props, ...keys.map(entry));
}
