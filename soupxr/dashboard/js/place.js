// Where things lie on the raster: axes, lanes, rows within a lane, names. In CSS pixels.

const LANE = { min: 25, wanted: 34, max: 58 };
const ROW_OF_MANY = { min: 12, wanted: 14, max: 22 };
const AXIS = 24;
const STRIP = 5;
/** Height below the lanes, and above and below them together, in units. */
const BELOW = AXIS + STRIP + 4;
const AROUND = AXIS + BELOW;

/** Least, good and greatest heights for so many lanes and rows in each. */
function rasterHeights(lanes, rows, unit) {
  const lane = (size) => Math.max(LANE[size], rows > 1 ? rows * ROW_OF_MANY[size] + 4 : 0);
  const height = (size) => (AROUND + Math.max(lanes, 1) * lane(size)) * unit;
  return { least: height("min"), wanted: height("wanted"), most: height("max") };
}

/** Lay out a raster's lanes in its height, and the names before them. */
function placeRaster(raster, ink, pen) {
  const unit = Number.parseFloat(getComputedStyle(raster.element).fontSize) / 13;
  const { height } = raster;
  const [top, bottom] = [AXIS * unit, height - BELOW * unit];
  const lane = (bottom - top) / Math.max(raster.lanes.length, 1);
  const edge = (i) => Math.round(top + i * lane);
  return {
    unit,
    height,
    width: raster.element.clientWidth,
    top: Math.round(top),
    bottom: Math.round(bottom),
    axis: Math.round(top / 2 - 1),
    seconds: Math.round(bottom + top / 2),
    strip: Math.round(height - STRIP * unit - 1),
    stripHeight: STRIP * unit,
    lanes: raster.lanes.map(({ behavior }, i) => ({ behavior, top: edge(i), bottom: edge(i + 1) })),
    rows: placeRows(raster.rows, lane),
    ...placeNames(raster, unit, ink, pen),
  };
}

/** Top and bottom of each row within a lane; rows that are only looked at are thinner. */
function placeRows(rows, lane) {
  const weights = rows.map((row) => (row.faded ? 0.55 : 1));
  const gap = rows.length > 1 ? Math.min(3, lane * 0.05) : 0;
  const gaps = gap * (rows.length - 1);
  const room = lane * (rows.length > 1 ? 0.78 : 0.66) - gaps;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let top = (lane - room - gaps) / 2;
  return weights.map((weight) => {
    const row = { top, bottom: top + (room * weight) / total };
    top = row.bottom + gap;
    return row;
  });
}

/** Names cut to their room, and the frames' left and right ends between names and agreement. */
function placeNames(raster, unit, ink, pen) {
  const fit = (text, size, weight, most) => {
    pen.font = `${weight} ${size * unit}px ${ink.font}`;
    return fitText(pen, text, most * unit);
  };
  const names = raster.lanes.map(({ behavior }) => fit(raster.behaviors[behavior].name, 13, "600", 130));
  const hasLabels = raster.rows.length > 1;
  const labels = hasLabels ? raster.rows.map(({ label }) => fit(label, 10.5, "400", 80)) : [];
  const agreement = [...raster.agreement.values()].map((text) => fit(text, 11.5, "400", 200));
  const ofNames = widest(names) + 16 * unit;
  const ofLabels = hasLabels ? widest(labels) + 14 * unit : 0;
  const x0 = Math.round(Math.max(ofNames + ofLabels + 12 * unit, 72 * unit));
  const right = agreement.length > 0 ? widest(agreement) + 18 * unit : 14 * unit;
  return {
    x0,
    x1: Math.round(raster.element.clientWidth - right),
    nameRight: hasLabels ? ofNames : x0 - 12 * unit,
    names: names.map(({ text }) => text),
    rowLabels: labels.map(({ text }) => text),
  };
}

function widest(texts) {
  return Math.max(0, ...texts.map(({ width }) => width));
}

/** Text that is no wider than `most`, and its width. */
function fitText(pen, text, most) {
  let shown = text;
  while (shown.length > 1 && pen.measureText(shown).width > most) {
    shown = `${shown.slice(0, shown.endsWith("…") ? -2 : -1)}…`;
  }
  return { text: shown, width: pen.measureText(shown).width };
}
