// Light and dark, and what a browser remembers of the page.

/** Light or dark: as the system says until somebody chooses. */
class Theme {
  constructor(root, changed) {
    this.root = root;
    this.changed = changed;
    this.system = window.matchMedia("(prefers-color-scheme: dark)");
    this.chosen = readSetting("theme");
    this.button = iconButton("moon", "Dark", "theme", () => this.toggle());
    this.follow = () => this.apply();
    this.system.addEventListener("change", this.follow);
    this.apply();
  }

  get dark() {
    return this.chosen === null ? this.system.matches : this.chosen === "dark";
  }

  toggle() {
    this.chosen = this.dark ? "light" : "dark";
    writeSetting("theme", this.chosen);
    this.apply();
  }

  apply() {
    this.root.dataset.theme = this.dark ? "dark" : "light";
    relabel(this.button, this.dark ? "sun" : "moon", this.dark ? "Light colours" : "Dark colours");
    this.changed();
  }

  close() {
    this.system.removeEventListener("change", this.follow);
  }
}

/** Settings that this browser keeps; a page without storage does without. */
function readSetting(name) {
  try {
    return window.localStorage.getItem(`soupxr-${name}`);
  } catch {
    return null;
  }
}

function writeSetting(name, value) {
  try {
    window.localStorage.setItem(`soupxr-${name}`, value);
  } catch {
    // It then lasts as long as the page.
  }
}
