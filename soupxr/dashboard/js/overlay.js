// Drawing of what moves over the raster: region, playhead, what is pointed at.

class OverlayPainter extends Painter {
  paintOverlay(state) {
    this.clipped(() => {
      this.paintSeen(state.seen);
      if (state.hover !== null) this.paintHover(state.hover);
      if (state.region !== null) this.paintRegion(state.region, state.grip);
      if (state.edge !== null) this.paintEdge(state.edge);
    });
    this.paintFrames(this.flag(state.playhead));
    if (state.playhead !== null) this.paintPlayhead(state.playhead);
  }

  /** Place of the playhead's flag on the upper axis; null where it is out of sight. */
  flag(frame) {
    const { pen, place, scale } = this;
    if (frame === null || frame + 1 < scale.start || frame > scale.stop) return null;
    this.font(11, "600");
    const text = formatCount(frame);
    const width = pen.measureText(text).width + 12 * place.unit;
    const x = this.snap(scale.x(frame + 0.5));
    return { x, text, width, left: clamp(x - width / 2, 0, place.width - width) };
  }

  /** Numbers of frames on the upper axis, save those that the flag would cover in part. */
  paintFrames(flag) {
    const { pen, place, scale, ink } = this;
    const { ticks } = niceTicks(scale.start, scale.stop, this.mostTicks, 1);
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    this.font(11.5);
    pen.fillStyle = ink.muted;
    for (const tick of ticks) {
      const text = formatCount(tick);
      const half = pen.measureText(text).width / 2;
      const x = scale.x(tick);
      const isCovered = flag !== null && x + half > flag.left && x - half < flag.left + flag.width;
      if (!isCovered) this.label(text, x, place.axis);
    }
  }

  paintSeen(seen) {
    const { place } = this;
    this.pen.fillStyle = this.ink.accent;
    const height = 3 * place.unit;
    this.bars(seen, this.snap(place.top - height - 1), height, false);
  }

  paintHover({ lane, row, start, stop }) {
    const { pen, place, scale } = this;
    const box = place.lanes[lane];
    const part = place.rows[row];
    const left = scale.x(start);
    pen.strokeStyle = this.ink.text;
    pen.lineWidth = 1.5;
    const width = Math.max(scale.x(stop) - left, MIN_BAR / this.ratio);
    pen.beginPath();
    pen.roundRect(left - 1, box.top + part.top - 1, width + 2, part.bottom - part.top + 2, 3);
    pen.stroke();
  }

  paintRegion([start, stop], grip) {
    const { pen, place, scale, ink } = this;
    const [left, right] = [this.snap(scale.x(start)), this.snap(scale.x(stop))];
    pen.fillStyle = withAlpha(ink.region, 0.1);
    pen.fillRect(left, place.top, right - left, place.bottom - place.top);
    const lane = place.lanes.find(({ behavior }) => behavior === this.scene.current);
    if (lane !== undefined) {
      pen.fillStyle = withAlpha(ink.region, 0.12);
      pen.fillRect(left, lane.top, right - left, lane.bottom - lane.top);
    }
    pen.fillStyle = ink.region;
    pen.fillRect(left, place.top - 1, right - left, 2);
    for (const [edge, x] of [["start", left], ["stop", right]]) {
      const wide = (grip === edge ? 3 : 1.5) * place.unit;
      pen.fillStyle = ink.region;
      pen.fillRect(this.snap(x - wide / 2), place.top, wide, place.bottom - place.top);
      this.paintHandle(x, place.top);
    }
  }

  paintHandle(x, y) {
    const { pen, place, ink } = this;
    const [width, height] = [7 * place.unit, 13 * place.unit];
    pen.fillStyle = ink.card;
    pen.strokeStyle = ink.region;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.roundRect(x - width / 2, y - height / 2, width, height, width / 2);
    pen.fill();
    pen.stroke();
  }

  /** Edge of a bout that is held or could be. */
  paintEdge({ lane, frame }) {
    const { pen, place, scale, ink } = this;
    const box = place.lanes[lane];
    pen.fillStyle = ink.text;
    pen.fillRect(this.snap(scale.x(frame)) - 1.5, box.top + 1, 3, box.bottom - box.top - 2);
  }

  paintPlayhead(frame) {
    const flag = this.flag(frame);
    if (flag === null) return;
    const { pen, place, scale, ink } = this;
    const { pixels } = scale;
    pen.fillStyle = withAlpha(ink.playhead, 0.18);
    if (pixels >= 3) this.rect(scale.x(frame), place.top, pixels, place.bottom - place.top);
    pen.fillStyle = ink.playhead;
    const wide = 2 * place.unit;
    pen.fillRect(this.snap(flag.x - wide / 2), place.axis, wide, place.bottom - place.axis);
    const height = 17 * place.unit;
    this.round(flag.left, place.axis - height / 2, flag.width, height, 5 * place.unit);
    this.font(11, "600");
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillStyle = ink["on-playhead"];
    pen.fillText(flag.text, flag.left + flag.width / 2, place.axis + 0.5);
  }
}
