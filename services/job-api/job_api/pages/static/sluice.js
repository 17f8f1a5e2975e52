// What moves: progress, states of runs, the viewer's own time beside UTC. Everything else works without this script.
//
// Live updates come as server-sent events. A tick of progress is written into its row; whatever else has changed is
// fetched as the page itself, and only what differs is put in place: rows never move, none is added or taken away, and
// what has the focus, the pointer or an open menu is left until it is free.

const HEARTBEAT_MS = 40_000; // the server says something every 15 s
const QUIET_MS = 1500; // pages are fetched again at most so often
const POLL_MS = 5000;
const UNFINISHED = "[data-busy], [data-state=queued], [data-state=running]";
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15_000];

// ---- times ----
function localTimes(root) {
  const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = `${long.format(at)}, your time`;
    const beside = time.querySelector(".local");
    if (beside) beside.textContent = `${short.format(at)} your time`;
  }
}

function inWords(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function left(estimate) {
  if (!estimate) return "the time left is not known yet";
  const [least, unit] = inWords(estimate.low).split(" ");
  const most = inWords(estimate.high);
  const low = most.endsWith(` ${unit}`) ? least : `${least} ${unit}`;
  return `about ${inWords(estimate.seconds)}, ${low} to ${most} left`;
}

// ---- one run's place on the page ----
function placeOf(run) {
  return (
    document.querySelector(`[data-run="${run.id}"]`) ??
    document.querySelector(`[data-one="${run.id}"]`) ??
    document.querySelector(`tr[data-job="${run.job_id}"]`)
  );
}

function tick(place, run) {
  const progress = place.querySelector("progress");
  if (!progress) return false;
  if (run.share !== null) {
    progress.value = Math.max(run.share, progress.position < 0 ? 0 : progress.value); // never backwards (H4)
    const percent = `${Math.floor(progress.value * 100)} %`;
    for (const said of place.querySelectorAll(".live output, [data-share]")) said.textContent = percent;
  }
  for (const said of place.querySelectorAll(".live .hint, [data-left]")) said.textContent = left(run.estimate);
  return true;
}

// ---- the page itself, fetched again ----
function isBusy(part) {
  const marked = getSelection();
  const isMarked = marked !== null && !marked.isCollapsed && marked.containsNode(part, true);
  const menu = part.querySelector("details[open]");
  return isMarked || menu !== null || part.contains(document.activeElement) || part.matches(":hover");
}

// Whether a bar would go back: what the server knew a moment ago may be older than what it has told since (H4).
function isBehind(next, part) {
  const [coming, shown] = [next.querySelector("progress"), part.querySelector("progress")];
  return coming !== null && shown !== null && coming.value < shown.value;
}

class Refresher {
  #due = null;
  #pending = new Map();

  constructor() {
    const settle = () => this.#pending.size && setTimeout(() => this.#settle(), 50);
    for (const kind of ["pointerout", "focusout", "selectionchange", "toggle"]) {
      document.addEventListener(kind, settle, true);
    }
  }

  soon() {
    this.#due ??= setTimeout(() => this.#turn(), QUIET_MS);
  }

  // The service behind the page may hear of it a moment later than we do.
  twice() {
    this.soon();
    setTimeout(() => this.soon(), POLL_MS);
  }

  async #turn() {
    this.#due = null;
    if (document.hidden) return; // fetched when it is looked at again
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) return; // away for a moment: the next change asks again
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const place of document.querySelectorAll("[data-run], [data-one], tr[data-job]")) this.#place(place, fresh);
    toolbar();
  }

  #place(place, fresh) {
    const key = ["run", "one", "job"].find((name) => place.dataset[name]);
    const other = fresh.querySelector(`[data-${key}="${place.dataset[key]}"]`);
    if (!other) return;
    const sameRun = place.dataset.latest === other.dataset.latest;
    for (const name of new Set([...Object.keys(place.dataset), ...Object.keys(other.dataset)])) {
      if (name.startsWith("no") || name === "state" || name === "latest") this.#copy(place, other, name); // what may be done, and why not
    }
    for (const part of place.querySelectorAll("[data-live]")) {
      const next = other.querySelector(`[data-live="${part.dataset.live}"]`);
      if (next && !(sameRun && isBehind(next, part))) this.#part(part, next);
    }
  }

  #copy(place, other, name) {
    if (name in other.dataset) place.dataset[name] = other.dataset[name];
    else delete place.dataset[name];
  }

  #part(part, next) {
    localTimes(next);
    this.#pending.delete(part);
    if (part.innerHTML === next.innerHTML) return;
    if (isBusy(part)) this.#pending.set(part, next);
    else part.replaceChildren(...next.childNodes);
  }

  #settle() {
    for (const [part, next] of this.#pending) {
      if (isBusy(part)) continue;
      this.#pending.delete(part);
      if (!isBehind(next, part)) part.replaceChildren(...next.childNodes);
    }
  }
}

// ---- the stream ----
class Stream {
  #source = null;
  #after;
  #failures = 0;
  #heard = Date.now();
  #lost = null;

  constructor(query, after, taken, caughtUp) {
    this.query = query;
    this.#after = after;
    this.taken = taken;
    this.caughtUp = caughtUp;
    this.notice = document.createElement("p");
    this.notice.className = "stale";
    this.notice.setAttribute("role", "status");
    this.notice.hidden = true;
    document.body.append(this.notice);
    setInterval(() => this.#watch(), 1000);
    this.open();
  }

  open() {
    this.#alive();
    const query = new URLSearchParams(this.query);
    if (this.#after) query.set("after", this.#after);
    const source = new EventSource(`/api/v1/events?${query}`);
    this.#source?.close();
    this.#source = source;
    source.onopen = () => this.#opened();
    source.onerror = () => this.#failed(source);
    source.addEventListener("heartbeat", () => this.#alive());
    for (const kind of ["run", "removed"]) source.addEventListener(kind, (event) => this.#event(kind, event));
  }

  close() {
    this.#source?.close();
    this.#source = null;
    this.#lost = null;
    this.notice.hidden = true;
  }

  #opened() {
    const wasLost = this.#lost !== null;
    this.#failures = 0;
    this.#lost = null;
    this.#alive();
    this.notice.hidden = true;
    // Nobody knows what happened before the first opening, unless the page says up to where it tells.
    if (wasLost || (!this.#after && document.querySelector(UNFINISHED))) this.caughtUp();
  }

  #alive() {
    this.#heard = Date.now();
  }

  #event(kind, event) {
    this.#alive();
    this.#after = event.lastEventId || this.#after;
    this.taken(kind, JSON.parse(event.data));
  }

  #failed(source) {
    if (source !== this.#source) return;
    source.close(); // the browser gives up on some answers: we never do
    this.#lost ??= new Date();
    const pause = RETRY_MS[Math.min(this.#failures++, RETRY_MS.length - 1)];
    setTimeout(() => source === this.#source && this.open(), pause);
  }

  #watch() {
    if (this.#source && this.#lost === null && Date.now() - this.#heard > HEARTBEAT_MS) this.#failed(this.#source);
    if (this.#lost !== null && Date.now() - this.#lost > 3000 && this.notice.hidden) {
      const at = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }).format(this.#lost);
      this.notice.textContent = `Live updates have stopped: what you see is as of ${at}. Trying again.`;
      this.notice.hidden = false;
    }
  }

  get lost() {
    return this.#lost !== null;
  }
}

// ---- runs that this page does not show yet ----
class Newcomers {
  #ids = new Set();
  #place = document.querySelector("[data-fresh]");

  add(run) {
    const isNewer = !this.#place?.dataset.fresh || new Date(run.created_at) > new Date(this.#place.dataset.fresh);
    if (!this.#place || this.#ids.has(run.id) || !isNewer) return;
    this.#ids.add(run.id);
    const count = this.#ids.size;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${count} newer ${count === 1 ? "run" : "runs"}: show`;
    button.addEventListener("click", () => location.reload());
    if (this.#place.contains(document.activeElement)) this.#place.firstChild.textContent = button.textContent;
    else this.#place.replaceChildren(button);
  }
}

function liveUpdates(root) {
  const refresher = new Refresher();
  const newcomers = new Newcomers();
  const taken = (kind, run) => {
    const place = placeOf(run);
    if (kind === "removed") return place?.classList.add("gone");
    if (!place) return newcomers.add(run);
    const known = Number(place.dataset.version ?? 0);
    if (run.version <= known) return; // of two copies the greater is the newer
    place.dataset.version = run.version;
    const another = place.dataset.job !== undefined && place.dataset.latest !== run.id;
    const ticked = !another && run.state === "running" && tick(place, run);
    if (run.state !== place.dataset.state || !ticked) refresher.twice();
    else if (place.dataset.one) refresher.soon();
  };
  const stream = new Stream(root.dataset.stream, root.dataset.after, taken, () => refresher.soon());
  // A browser opens few connections to one host: a page that nobody looks at holds none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stream.close();
    else stream.open();
    refresher.soon();
  });
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => event.persisted && stream.open());
  // While the stream is lost the jobs' own service still knows how their runs go.
  setInterval(() => stream.lost && root.dataset.poll !== undefined && refresher.soon(), POLL_MS);
}

// ---- toolbars and menus ----
// What cannot be done is disabled and says why; it keeps the focus, so that the reason can be read by everybody.
function refuse(control, reason) {
  if (reason) control.setAttribute("aria-disabled", "true");
  else control.removeAttribute("aria-disabled");
  control.title = reason ?? "";
}

// The toolbar of the jobs follows the job that is chosen.
function toolbar() {
  const form = document.getElementById("chosen");
  const why = document.getElementById("why");
  if (!form || !why || form.querySelector("[data-denied]")) return;
  const row = document.querySelector("input[name=job]:checked")?.closest("tr");
  const reasons = [];
  for (const button of form.querySelectorAll("[data-for]")) {
    const reason = row ? row.getAttribute(`data-no-${button.dataset.for}`) : "Choose a job in the list first.";
    refuse(button, reason);
    if (row && reason) reasons.push(`${button.textContent.trim()}: ${reason}`);
  }
  why.textContent = reasons.join(" ");
}

function onClick(event) {
  if (event.target.closest("[aria-disabled=true]")) return event.preventDefault();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const row = event.target.closest(".jobs tbody tr");
  if (row && !event.target.closest("a, button, label, input, .live")) row.querySelector("input[name=job]").click();
}

function onKey(event) {
  if (event.key !== "Escape") return;
  const menu = event.target.closest("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
}

// ---- choosing rows ----
function choosing(form) {
  const all = form.querySelector("[data-all]");
  const tally = form.querySelector("[data-tally]");
  if (!tally) return;
  const boxes = () => [...form.querySelectorAll("input.pick")];
  const say = () => {
    const chosen = boxes().filter((box) => box.checked);
    const count = chosen.reduce((sum, box) => sum + Number(box.dataset.count ?? 1), 0);
    const most = Number(tally.dataset.most ?? Infinity);
    tally.textContent = count ? `${count} chosen${count > most ? `, ${most} at most` : ""}` : "";
    if (all) {
      all.checked = count > 0 && chosen.length === boxes().length;
      all.indeterminate = count > 0 && !all.checked;
    }
  };
  if (all && boxes().length) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
      say();
    });
  }
  form.addEventListener("change", say);
  say();
}

// ---- the editor of jobs: what comes of it, while somebody types ----
function editing(form) {
  const asked = {};
  const moments = [...form.querySelectorAll("input[type=datetime-local]")];
  const ask = async (part) => {
    asked[part]?.abort();
    asked[part] = new AbortController();
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(`/jobs/ahead/${part}`, { method: "POST", body, signal: asked[part].signal });
    if (!answer.ok || answer.redirected) return;
    const place = document.getElementById(`ahead-${part}`);
    place.innerHTML = await answer.text();
    localTimes(place);
  };
  const soon = {};
  const later = (part, wait) => {
    clearTimeout(soon[part]);
    soon[part] = setTimeout(() => ask(part).catch(() => undefined), wait); // away for a moment, or typed on meanwhile
  };
  const beside = () => {
    for (const field of moments) {
      const at = new Date(`${field.value}Z`);
      const words = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
      form.querySelector(`output[for=${field.id}]`).textContent = field.value ? `= ${words.format(at)} your time` : "";
    }
  };
  form.addEventListener("input", () => {
    beside();
    later("slots", 200);
    later("size", 600);
  });
  form.addEventListener("submit", (event) => {
    // The browser sends nothing of a date that is typed in part: let it say so, and lose nothing.
    const partly = moments.find((field) => field.validity.badInput && field.offsetParent);
    if (partly) {
      event.preventDefault();
      partly.reportValidity();
    }
  });
  document.getElementById("faults")?.focus();
  beside();
  later("size", 0);
}

document.addEventListener("click", onClick);
document.addEventListener("keydown", onKey);
document.addEventListener("change", (event) => {
  if (event.target.matches("select[form^=filter], input[type=date][form=filter]")) event.target.form.requestSubmit();
  toolbar();
});
toolbar();
localTimes(document);
for (const form of document.querySelectorAll("form")) choosing(form);
const editor = document.getElementById("editor");
if (editor) editing(editor);
const root = document.querySelector("[data-stream]");
if (root) liveUpdates(root);
