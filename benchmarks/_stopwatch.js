// A stopwatch inside the page, set up before any script of the page's own. Times are in ms: `drawn`
// when the page had drawn, `shown` in the animation frame after that.

(() => {
  const PATIENCE = 60000;
  const find = (name, root = document) => {
    const here = root.querySelector(`[data-test="${name}"]`);
    if (here !== null) return here;
    for (const element of root.querySelectorAll("*")) {
      const there = element.shadowRoot && find(name, element.shadowRoot);
      if (there) return there;
    }
    return null;
  };
  const seen = { picture: {}, page: {} };
  const bench = { find, pressed: 0, waiting: null, log: null };

  // Ours is the first listener: the page stops keys that it takes.
  window.addEventListener("keydown", (event) => { bench.pressed = event.timeStamp; }, true);

  const changed = (part, attribute, value) => {
    const at = performance.now();
    if (bench.log !== null && part === "picture") bench.log.push(at);
    const { waiting } = bench;
    if (waiting === null || waiting.part !== part || waiting.attribute !== attribute) return;
    if (waiting.value !== null && waiting.value !== value) return;
    bench.waiting = null;
    requestAnimationFrame(() => waiting.done({ at, shown: performance.now() }));
  };

  const watch = (part, element) => {
    const look = () => {
      for (const [name, value] of Object.entries({ ...element.dataset })) {
        if (seen[part][name] !== value) {
          seen[part][name] = value;
          changed(part, name, value);
        }
      }
    };
    new MutationObserver(look).observe(element, { attributes: true });
    look();
  };

  /** Resolves to performance.now() once `test()` holds, looked at with each animation frame. */
  bench.until = (test) => new Promise((resolve, reject) => {
    const late = performance.now() + PATIENCE;
    const look = () => {
      if (test()) resolve(performance.now());
      else if (performance.now() > late) reject(new Error(`never: ${test}`));
      else requestAnimationFrame(look);
    };
    look();
  });

  /** Expect an attribute to change, to a value if one is given. */
  bench.expect = (part, attribute, value = null) => {
    bench.answer = new Promise((resolve, reject) => {
      const given = setTimeout(() => reject(new Error(`no ${attribute} ${value}`)), PATIENCE);
      const done = (times) => { clearTimeout(given); resolve(times); };
      bench.waiting = { part, attribute, value, done };
    });
    bench.answer.catch(() => {});
  };

  /** Milliseconds from the key press (or `since`) to what was expected. */
  bench.take = async (since = null) => {
    const { at, shown } = await bench.answer;
    const from = since === null ? bench.pressed : since;
    return { drawn: at - from, shown: shown - from };
  };

  /** Milliseconds from doing something to the next animation frame. */
  bench.time = async (action) => {
    const from = performance.now();
    action();
    const busy = performance.now() - from;
    await new Promise(requestAnimationFrame);
    return { drawn: busy, shown: performance.now() - from };
  };

  /** Milliseconds between animation frames while `action(i)` is done with each of them. */
  bench.frames = async (count, action) => {
    const times = [];
    await new Promise(requestAnimationFrame);
    let before = performance.now();
    for (let i = 0; i < count; i += 1) {
      action(i);
      await new Promise(requestAnimationFrame);
      times.push(performance.now() - before);
      before = performance.now();
    }
    return times;
  };

  bench.ready = bench.until(() => find("picture") !== null && find("page") !== null).then(() => {
    watch("page", find("page"));
    watch("picture", find("picture"));
    return bench.until(() => seen.picture.frame !== undefined);
  });
  bench.ready.catch(() => {});
  window.bench = bench;
})();
