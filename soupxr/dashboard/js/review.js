// The bar of a review.

/** How much of a review is done. */
class Review {
  constructor() {
    this.fill = make("div", { class: "fill" });
    this.text = make("span", { class: "facts" });
    const track = make("div", { class: "track" }, this.fill);
    const props = { class: "review", "data-test": "review", role: "progressbar", hidden: true };
    const range = { "aria-label": "Reviewed", "aria-valuemin": "0", "aria-valuemax": "100" };
    this.element = make("div", { ...props, ...range }, track, this.text);
  }

  set({ done, text }) {
    const percent = Math.round(100 * clamp(done, 0, 1));
    this.element.hidden = false;
    this.element.setAttribute("aria-valuenow", percent);
    this.fill.style.width = `${100 * clamp(done, 0, 1)}%`;
    this.text.textContent = text;
  }
}
