// What keys can ask of the page, by name.

function makeCommands(page) {
  const { player, raster } = page;
  const act = (name, fields) => page.act(name, fields);
  const edit = (name, fields) => page.canEdit && page.act(name, fields);
  const isEditor = (name) => page.hello.editor === name;
  const jump = (frame) => frame !== null && page.go(frame);
  return {
    mark: (value) => edit("mark", { value }),
    reset: (scope) => edit("reset", { scope }),
    save: () => edit("save"),
    undo: () => edit("undo"),
    redo: () => edit("redo"),
    fillAbsent: () => isEditor("manual") && edit("fill_absent"),
    current: (step) => act("current", { step }),
    setRegionEdge: (which) => act("region_edge", { which, frame: player.frame }),
    // A key that is held goes on as fast as pictures come, and passes none over.
    step: (count, isHeld) => (isHeld && player.isWaiting) || player.step(count),
    edge: (step) => jump(nextEdge(raster.bouts(raster.current), player.frame, step)),
    disagreement: (step) =>
      isEditor("compare") && jump(nextStart(raster.disagreements(), player.frame, step)),
    play: () => player.toggle(),
    trial: (step) => page.stepTrial(step),
    escape: () => leaveRegion(page),
    listKey: (event) => listKey(page, event),
  };
}

/** Give up what is being dragged; else the region. */
function leaveRegion(page) {
  if (page.pointer.cancel() || page.raster.region === null) return;
  page.act("region", { start: null });
}

/** Arrow keys of the part that has the focus; whether it took the key. */
function listKey({ layout, trials }, event) {
  const path = event.composedPath();
  if (path[0] === layout.split) return layout.arrow(event.key);
  return path.includes(trials.window) && trials.arrow(event.key);
}
