// What JavaScript adds: live updates, a range chosen with mouse or arrow keys, local times.
"use strict";
(() => {
  const [QUICK, SLOW, PATIENCE] = [400, 8000, 5000];
  const $ = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const hear = (kinds, act) => kinds.split(" ").forEach((kind) => document.addEventListener(kind, act));
  const number = (n) => n.toLocaleString("en");
  const of = (n, what) => `${number(n)} ${what}${n === 1 ? "" : "s"}`;
  const make = (name, props, ...inside) => {
    const made = Object.assign(document.createElement(name), props);
    made.append(...inside);
    return made;
  };

  // A link's path ends with its day.
  const dayOf = (cell) => cell.getAttribute("href").slice(-10);
  const boxesOf = (dataset) => all(`[data-dataset="${CSS.escape(dataset)}"]`);
  const cellsOf = (calendar) => all("tbody a", calendar).sort((a, b) => (dayOf(a) < dayOf(b) ? -1 : 1));

  // Tab stops at one cell of a calendar; arrow keys lead to the others.
  function rove(cells, to = cells.at(-1)) {
    for (const cell of cells) cell.tabIndex = cell === to ? 0 : -1;
  }

  // A range of days.
  let anchor = null;
  let dragging = false;
  let dragged = false;
  const cellAt = (event) => event.target.closest?.(".cal a");

  function choose(from, to) {
    if (!$("range")) return;
    [$("from").value, $("to").value] = [from, to].sort();
    paint();
  }

  function paint() {
    if (!$("range")) return;
    const [from, to] = [$("from").value, $("to").value];
    let days = 0;
    for (const cell of all(".cal a")) {
      const inside = from !== "" && from <= dayOf(cell) && dayOf(cell) <= to;
      cell.classList.toggle("chosen", inside);
      days += inside;
    }
    $("chosen").value = days ? of(days, "day") : "";
  }

  hear("pointerdown", (event) => {
    const cell = cellAt(event);
    dragged = false;
    dragging = cell && event.button === 0 && event.pointerType !== "touch" && !event.shiftKey;
    if (dragging) anchor = dayOf(cell);
  });
  hear("pointerover", (event) => {
    const cell = dragging && cellAt(event);
    if (!cell || (!dragged && dayOf(cell) === anchor)) return;
    dragged = true;
    choose(anchor, dayOf(cell));
  });
  hear("pointerup pointercancel", () => (dragging = false));
  hear("dragstart", (event) => cellAt(event) && event.preventDefault());
  hear("click", (event) => {
    const cell = cellAt(event);
    if (!cell || !(dragged || event.shiftKey) || !$("range")) return;
    event.preventDefault();
    if (!dragged) choose(anchor ?? dayOf(cell), dayOf(cell));
    dragged = false;
  });
  hear("input", (event) => event.target.closest("#range") && paint());
  hear("keydown", (event) => {
    if (event.key === "Escape") {
      all(".pop[open]").forEach((pop) => (pop.open = false));
      $("range")?.reset();
      paint();
    }
    const cell = cellAt(event);
    const step = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -7, ArrowRight: 7, Home: -400, End: 400 }[event.key];
    if (!cell || !step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const cells = cellsOf(cell.closest(".cal"));
    const ahead = step > 0;
    const goal = new Date(Date.parse(dayOf(cell)) + step * 864e5).toISOString().slice(0, 10);
    const beyond = ahead ? cells.find((c) => dayOf(c) >= goal) : cells.findLast((c) => dayOf(c) <= goal);
    const to = beyond ?? cells.at(ahead ? -1 : 0);
    if (event.shiftKey) choose((anchor ??= dayOf(cell)), dayOf(to));
    else anchor = dayOf(to);
    rove(cells, to);
    to.focus();
  });

  // The content is asked for anew; what was typed, opened, focused or scrolled to stays.
  let timer = 0;
  let due = 0;
  let asked = 0;

  function refresh(wait) {
    const at = Math.max(Date.now() + QUICK, asked + wait);
    if (timer && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(renew, at - Date.now());
  }

  async function renew() {
    timer = 0;
    asked = Date.now();
    const busy = dragging || document.activeElement.matches("main input, main select") || String(getSelection());
    if (busy || document.hidden) return refresh(SLOW);
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (answer.redirected) return location.assign(answer.url);
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      refresh(SLOW);
    }
  }

  function replace(fresh) {
    const [old, main] = [$("main"), fresh.querySelector("main")];
    const focus = document.activeElement;
    const key = (a) => a.getAttribute("href") + a.parentNode.nodeName;
    const same = (root) => all("a", root).filter((a) => key(a) === key(focus));
    const place = same(old).indexOf(focus);
    const lefts = all(".scroll").map((box) => box.scrollLeft);
    for (const now of all("[id]", main)) {
      const was = $(now.id);
      if (was?.matches("details")) now.open = was.open;
      if (was?.matches("input, select")) now.value = was.value;
    }
    old.replaceWith(main);
    document.title = fresh.title;
    ready();
    all(".scroll").forEach((box, i) => (box.scrollLeft = lefts[i]));
    const again = $(focus.id) ?? same(main)[place];
    if (again?.closest(".cal")) rove(cellsOf(again.closest(".cal")), again);
    again?.focus({ preventScroll: true });
  }

  // What the daemon tells.
  const pace = new Map();
  const loadOf = (box, day) => box.querySelector(`[data-day="${day}"]`);
  const pageDay = () => document.querySelector("[data-page-day]")?.dataset.pageDay;

  function onDay({ dataset, day, state, rows_loaded: rows, rows_rejected: bad, error }) {
    for (const box of boxesOf(dataset)) {
      for (const cell of all(`.days a:empty[href$="${day}"]`, box)) {
        if (/failed|refused/.test(cell.className + state)) refresh(QUICK);
        cell.className = (bad ? "rejects" : state) + (cell.classList.contains("chosen") ? " chosen" : "");
        const words = [day + ": " + state + (bad ? " with rejects" : "")];
        if (rows != null) words.push(of(rows, "row"));
        if (bad) words.push(of(bad, "line") + " rejected");
        cell.title = words.join(", ") + (error ? ". " + error : "");
      }
      if (state !== "running") loadOf(box, day)?.remove();
      refresh(day === pageDay() ? QUICK : SLOW);
    }
  }

  function onProgress({ dataset, day, step, rows, bytes, bytes_total: total, waiting_for: waitingFor }) {
    const key = dataset + day;
    const [now, last] = [Date.now(), pace.get(key)];
    const speed = last?.rows <= rows ? ((rows - last.rows) * 1000) / Math.max(1, now - last.now) : 0;
    const steady = (last?.steady || speed) * 0.7 + speed * 0.3;
    pace.set(key, { now, rows, steady });
    for (const box of boxesOf(dataset)) {
      const loads = box.querySelector("[data-loads]");
      if (!loads || (pageDay() ?? day) !== day) continue;
      let load = loadOf(box, day);
      if (!load) {
        const link = make("a", { href: loads.dataset.loads + "/" + day }, "loading " + day);
        load = make("div", { className: "load" }, link, make("progress", { ariaLabel: link.text }), make("small"));
        load.dataset.day = day;
        loads.append(load);
      }
      if (total) Object.assign(load.querySelector("progress"), { max: total, value: Math.min(bytes, total) });
      const words = [step, of(rows, "row")];
      if (steady >= 1) words.push(of(Math.round(steady), "row") + "/s");
      const left = ((total - bytes) * rows) / bytes / steady;
      if (total && left < 1e6) words.push(Math.ceil(left) + " s left");
      load.querySelector("small").textContent = words.join(" · ");
      load.querySelector(".waiting")?.remove();
      if (waitingFor) load.append(make("small", { className: "waiting" }, waitingFor));
    }
  }

  function onDataset({ dataset, counts, paused, late }) {
    for (const box of boxesOf(dataset)) {
      const known = box.dataset.marks;
      refresh(known && known !== `${late > 0}${!!paused}` ? QUICK : SLOW);
      const some = Object.entries(counts).filter(([, days]) => days);
      const said = some.map(([state, days]) =>
        make("span", { className: "state" }, make("i", { className: "m " + state }), number(days) + " " + state));
      if (said.length) box.querySelector("[data-counts]")?.replaceChildren(...said);
    }
  }

  // The stream, and what is said when it breaks. A page that is not seen has none: a browser has six connections to a
  // server, and pages that keep them all would keep the next one from opening.
  let stream = null;
  let broken = 0;
  let patience = 0;
  let again = 0;
  let pause = 1000;

  function say(state, live, ...banner) {
    $("live").className = "live " + state;
    $("live").replaceChildren(...live);
    $("lost").replaceChildren(...banner);
    point();
  }

  function lost() {
    const dateTime = new Date(broken).toISOString();
    const since = () => make("time", { dateTime }, dateTime.slice(11, 16) + " UTC");
    say("off", ["daemon lost since ", since()], "Connection to the daemon lost at ", since(), ", reconnecting.");
  }

  function hush() {
    clearTimeout(again);
    clearTimeout(patience);
    patience = 0;
    stream?.close();
  }

  function listen() {
    stream = new EventSource(document.body.dataset.events);
    const on = (kind, act) => stream.addEventListener(kind, (event) => act(JSON.parse(event.data)));
    stream.onopen = () => {
      clearTimeout(patience);
      [broken, patience, pause] = [0, 0, 1000];
      say("on", ["live"]);
    };
    stream.onerror = () => {
      broken ||= Date.now();
      patience ||= setTimeout(lost, PATIENCE);
      // Otherwise the browser tries again by itself.
      if (stream.readyState !== EventSource.CLOSED) return;
      again = setTimeout(listen, (pause = Math.min(pause * 2, 30000)));
      refresh(0); // who is not logged in any more is led to the login
    };
    on("day", onDay);
    on("progress", onProgress);
    on("dataset", onDataset);
    on("daemon", () => refresh(QUICK));
    on("hello", ({ version, told }) => {
      if (told !== +document.body.dataset.told) refresh(0); // something was missed
      if (version !== document.body.dataset.version) say("on", [`dayfill ${version} runs now: reload the page`]);
    });
  }

  function seen() {
    if (document.hidden) return hush();
    listen();
    refresh(0);
  }

  // A time that is pointed at says what it is by the reader's clock.
  function point() {
    for (const time of all('time[datetime*="T"]')) {
      time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    }
  }

  function ready() {
    for (const calendar of all(".cal")) rove(cellsOf(calendar));
    point();
    paint();
  }

  ready();
  // A narrow screen begins at the newest days.
  for (const scroll of all(".year .scroll")) {
    const newest = cellsOf(scroll).at(-1);
    const right = (box) => box.getBoundingClientRect().right;
    if (newest) scroll.scrollLeft = right(newest) - right(scroll) + 60;
  }
  if (document.body.dataset.events) {
    if (!document.hidden) listen();
    hear("visibilitychange", seen);
    // A page without datasets hears of nothing.
    setInterval(() => document.querySelector("[data-dataset]") || refresh(0), 15000);
  }
})();
