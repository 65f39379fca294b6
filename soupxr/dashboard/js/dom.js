// Elements, icons and numbers as people read them. Text only ever becomes text: nothing that
// came from a store is parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Shapes on a 16 × 16 grid; `fill` ones are solid, the others are drawn as lines. */
const ICONS = {
  play: { fill: "M4.5 2.6v10.8a.6.6 0 0 0 .92.5l8.2-5.4a.6.6 0 0 0 0-1L5.42 2.1a.6.6 0 0 0-.92.5z" },
  pause: { fill: "M4 2.5h2.6v11H4zM9.4 2.5H12v11H9.4z" },
  "step-back": { line: "M10.5 3.5 6 8l4.5 4.5M4 3.5v9" },
  "step-forward": { line: "M5.5 3.5 10 8l-4.5 4.5M12 3.5v9" },
  loop: {
    line:
      "M3 7.2A3.7 3.7 0 0 1 6.7 3.5h6.1M10.6 1.3l2.2 2.2-2.2 2.2" +
      "M13 8.8a3.7 3.7 0 0 1-3.7 3.7H3.2M5.4 14.7l-2.2-2.2 2.2-2.2",
  },
  undo: { line: "M5.8 2.8 2.6 6l3.2 3.2M2.8 6h6.4a3.6 3.6 0 0 1 0 7.2H6" },
  redo: { line: "M10.2 2.8 13.4 6l-3.2 3.2M13.2 6H6.8a3.6 3.6 0 0 0 0 7.2H10" },
  sun: {
    line:
      "M8 5.1a2.9 2.9 0 1 0 0 5.8 2.9 2.9 0 0 0 0-5.8zM8 1.2v1.4M8 13.4v1.4M1.2 8h1.4M13.4 8h1.4" +
      "M3.2 3.2l1 1M11.8 11.8l1 1M12.8 3.2l-1 1M4.2 11.8l-1 1",
  },
  moon: { line: "M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7z" },
  plus: { line: "M8 3v10M3 8h10" },
  minus: { line: "M3 8h10" },
  whole: { line: "M1.8 3v10M14.2 3v10M4.2 8h7.6M6.2 5.9 4.1 8l2.1 2.1M9.8 5.9 11.9 8l-2.1 2.1" },
  up: { line: "M3.5 10 8 5.5l4.5 4.5" },
  down: { line: "M3.5 6 8 10.5 12.5 6" },
  search: { line: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.4 10.4l3.4 3.4" },
  info: { line: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.4v3.6M8 4.9v.2" },
  check: { line: "M3 8.4 6.4 11.8 13 4.6" },
  sidebar: { line: "M2 3.2h12v9.6H2zM6 3.2v9.6" },
  close: { line: "M4 4l8 8M12 4l-8 8" },
  warning: { line: "M8 2 14.6 13.5H1.4zM8 6.4v3.4M8 11.6v.2" },
};

/**
 * Make an element. `props` are attributes, except `on` (listeners by event), `text`, and whatever
 * is a function, boolean or `value`, which are set as properties.
 */
function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) setProp(element, name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function setProp(element, name, value) {
  if (name === "on") {
    for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  } else if (name === "text") {
    element.textContent = value;
  } else if (typeof value === "boolean" || name === "value") {
    element[name] = value;
  } else if (value !== null) {
    element.setAttribute(name, value);
  }
}

/** Icon by name, silent for screen readers: its button carries the label. */
function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "icon");
  const path = document.createElementNS(SVG, "path");
  const { fill, line } = ICONS[name];
  path.setAttribute("d", fill ? fill : line);
  path.setAttribute("class", fill ? "solid" : "line");
  svg.append(path);
  return svg;
}

/** Button with an icon; its label is both read aloud and shown as a tip. */
function iconButton(name, label, test, click, kind = "ghost") {
  const props = { type: "button", class: `button ${kind}`, "data-test": test };
  const button = make("button", { ...props, "aria-label": label, title: label }, icon(name));
  button.addEventListener("click", click);
  return button;
}

/** Show another icon and label on a button. */
function relabel(button, name, label) {
  button.replaceChildren(icon(name));
  button.setAttribute("aria-label", label);
  button.title = label;
}

/** Replace a select's options, keeping its choice if that is still there. */
function setOptions(select, options, value) {
  const wanted = value === undefined ? select.value : String(value);
  select.replaceChildren(
    ...options.map((option) => make("option", { value: String(option.value), text: option.label })),
  );
  if (options.some((option) => String(option.value) === wanted)) select.value = wanted;
}

/** Seconds with as many digits as tell two frames apart. */
function formatSeconds(seconds, fps) {
  return `${seconds.toFixed(fps > 100 ? 3 : 2)} s`;
}

/** A length of time in whichever unit reads best. */
function formatDuration(seconds) {
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const minutes = Math.floor(seconds / 60);
  return `${minutes} min ${Math.round(seconds - 60 * minutes)} s`;
}

/** Whole number with thin spaces between thousands. */
function formatCount(count) {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

function plural(count, word) {
  return `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** JPEG bytes in whatever form they came as a blob. */
function toBlob(jpeg) {
  const type = "image/jpeg";
  if (typeof jpeg === "string") {
    return new Blob([Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0))], { type });
  }
  if (jpeg instanceof ArrayBuffer || ArrayBuffer.isView(jpeg)) return new Blob([jpeg], { type });
  const inner = jpeg.data === undefined ? jpeg.buffer : jpeg.data;
  return toBlob(inner);
}

/** Call `action` at most once every `ms`, the last call always being made. */
function throttle(action, ms) {
  let timer = null;
  let last = -Infinity;
  const run = () => {
    timer = null;
    last = performance.now();
    action();
  };
  const call = () => {
    if (timer !== null) return;
    const wait = last + ms - performance.now();
    if (wait <= 0) run();
    else timer = setTimeout(run, wait);
  };
  call.flush = () => {
    if (timer === null) return;
    clearTimeout(timer);
    run();
  };
  call.cancel = () => clearTimeout(timer);
  return call;
}
