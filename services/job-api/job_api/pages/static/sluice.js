// Progress, live states of runs, and the viewer's local time next to UTC. Everything else works without this script.
//
// Live updates arrive as server-sent events. The progress of a run is written into its row at once. For any other
// change the page is fetched again, and only the parts that differ are replaced: rows neither move nor appear nor
// disappear, and a part that has the focus, the pointer, a selection or an open menu is replaced later.

const HEARTBEAT_TIMEOUT_MS = 40_000; // the server sends a heartbeat every 15 s
const REFRESH_INTERVAL_MS = 1500; // the shortest time between two fetches of the page
const POLL_INTERVAL_MS = 5000;
const OUTAGE_NOTICE_MS = 3000; // how long the stream may be interrupted before the page says so
const UNFINISHED = "[data-active], [data-state=queued], [data-state=running]";
const RETRY_DELAYS_MS = [500, 1000, 2000, 4000, 8000, 15_000];

// ---- times ----
function showLocalTimes(root) {
  const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const short = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = `${long.format(at)}, your time`;
    const line = time.querySelector(".local-time");
    if (line) line.textContent = `${short.format(at)} your time`;
  }
}

function formatDuration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function formatTimeRemaining(estimate) {
  if (!estimate) return "Time remaining is not known yet";
  const [shortest, unit] = formatDuration(estimate.low).split(" ");
  const longest = formatDuration(estimate.high);
  const low = longest.endsWith(` ${unit}`) ? shortest : `${shortest} ${unit}`;
  return `About ${formatDuration(estimate.seconds)} remaining (${low} to ${longest})`;
}

// ---- the element that shows a run ----
function findRun(run) {
  return (
    document.querySelector(`[data-run="${run.id}"]`) ??
    document.querySelector(`[data-run-page="${run.id}"]`) ??
    document.querySelector(`tr[data-job="${run.job_id}"]`)
  );
}

function showProgress(element, run) {
  const bar = element.querySelector("progress");
  if (!bar) return false;
  if (run.progress !== null) {
    bar.value = Math.max(run.progress, bar.position < 0 ? 0 : bar.value); // never backwards (H4)
    const percent = `${Math.floor(bar.value * 100)} %`;
    for (const text of element.querySelectorAll(".progress output, [data-progress]")) text.textContent = percent;
  }
  const remaining = formatTimeRemaining(run.estimate);
  for (const text of element.querySelectorAll(".progress .tooltip, [data-remaining]")) text.textContent = remaining;
  return true;
}

// ---- refreshing the page in place ----
function isInUse(part) {
  const selection = getSelection();
  const isSelected = selection !== null && !selection.isCollapsed && selection.containsNode(part, true);
  const menu = part.querySelector("details[open], :popover-open");
  return isSelected || menu !== null || part.contains(document.activeElement) || part.matches(":hover");
}

// Whether replacing a part would move its bar backwards: a fetched page may be older than the latest event (H4).
function isOlder(next, part) {
  const [fetched, shown] = [next.querySelector("progress"), part.querySelector("progress")];
  return fetched !== null && shown !== null && fetched.value < shown.value;
}

class Refresher {
  #timer = null;
  #pending = new Map(); // parts that are in use, with what replaces them

  constructor() {
    const replaceSoon = () => this.#pending.size && setTimeout(() => this.#replacePending(), 50);
    for (const kind of ["pointerout", "focusout", "selectionchange", "toggle"]) {
      document.addEventListener(kind, replaceSoon, true);
    }
  }

  schedule() {
    this.#timer ??= setTimeout(() => this.#refresh(), REFRESH_INTERVAL_MS);
  }

  // The service that renders the page may learn of a change a moment later than this script.
  scheduleTwice() {
    this.schedule();
    setTimeout(() => this.schedule(), POLL_INTERVAL_MS);
  }

  async #refresh() {
    this.#timer = null;
    if (document.hidden) return; // refreshed when the page is visible again
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer?.ok || answer.redirected) return; // unavailable: the next change schedules another refresh
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // The page of a run that history did not know yet has nothing to replace.
    if (document.querySelector("[data-awaited]") && !fresh.querySelector("[data-awaited]")) location.reload();
    else this.apply(fresh);
  }

  // Replaces what differs in a page that was fetched, in the element `used` even where the focus and the pointer are.
  apply(fresh, used = null) {
    this.used = used;
    for (const element of document.querySelectorAll("[data-run], [data-run-page], tr[data-job]")) {
      this.#update(element, fresh);
    }
    this.#updateList(fresh);
    this.used = null;
  }

  // Counts and the position in the list, which stand outside the rows.
  #updateList(fresh) {
    for (const part of document.querySelectorAll("[data-live-list]")) {
      const next = fresh.querySelector(`[data-live-list="${part.dataset.liveList}"]`);
      if (next) this.#replace(part, next);
    }
    document.dispatchEvent(new CustomEvent("sluice:refreshed"));
  }

  #update(element, fresh) {
    const key = ["run", "run-page", "job"].find((name) => element.hasAttribute(`data-${name}`));
    const next = fresh.querySelector(`[data-${key}="${element.getAttribute(`data-${key}`)}"]`);
    if (!next) return;
    const isSameRun = element.dataset.latest === next.dataset.latest;
    for (const name of new Set([...Object.keys(element.dataset), ...Object.keys(next.dataset)])) {
      if (name.startsWith("refused") || name === "state" || name === "latest") this.#copy(element, next, name);
    }
    for (const part of element.querySelectorAll("[data-live]")) {
      const nextPart = next.querySelector(`[data-live="${part.dataset.live}"]`);
      if (nextPart && !(isSameRun && isOlder(nextPart, part))) this.#replace(part, nextPart);
    }
  }

  #copy(element, next, name) {
    if (name in next.dataset) element.dataset[name] = next.dataset[name];
    else delete element.dataset[name];
  }

  #replace(part, next) {
    showLocalTimes(next);
    this.#pending.delete(part);
    if (part.innerHTML === next.innerHTML) return;
    if (isInUse(part) && !this.used?.contains(part)) this.#pending.set(part, next);
    else part.replaceChildren(...next.childNodes);
  }

  #replacePending() {
    for (const [part, next] of this.#pending) {
      if (isInUse(part)) continue;
      this.#pending.delete(part);
      if (!isOlder(next, part)) part.replaceChildren(...next.childNodes);
    }
  }
}

// ---- the stream of events ----
class Stream {
  #source = null;
  #after; // the id of the last event received
  #failures = 0;
  #lastMessageAt = Date.now();
  #interruptedAt = null;

  constructor(root, onRun, onReconnect) {
    this.query = root.dataset.stream;
    this.#after = root.dataset.after;
    this.onRun = onRun;
    this.onReconnect = onReconnect;
    this.notice = document.createElement("p");
    this.notice.className = "stale";
    this.notice.setAttribute("role", "status");
    this.notice.hidden = true;
    document.body.append(this.notice);
    setInterval(() => this.#check(), 1000);
    this.open();
  }

  open() {
    this.#recordMessage();
    const query = new URLSearchParams(this.query);
    if (this.#after) query.set("after", this.#after);
    const source = new EventSource(`/api/v1/events?${query}`);
    this.#source?.close();
    this.#source = source;
    source.onopen = () => this.#handleOpen();
    source.onerror = () => this.#handleFailure(source);
    source.addEventListener("heartbeat", () => this.#recordMessage());
    source.addEventListener("closed", () => this.#giveWay());
    for (const kind of ["run", "removed"]) source.addEventListener(kind, (event) => this.#handleEvent(kind, event));
  }

  close() {
    this.#source?.close();
    this.#source = null;
    this.#interruptedAt = null;
    this.notice.hidden = true;
  }

  #handleOpen() {
    const wasInterrupted = this.isInterrupted;
    this.#failures = 0;
    this.#interruptedAt = null;
    this.#recordMessage();
    this.notice.hidden = true;
    // Changes before the first opening are missed, unless the page names the last one that it shows.
    if (wasInterrupted || (!this.#after && document.querySelector(UNFINISHED))) this.onReconnect();
  }

  #recordMessage() {
    this.#lastMessageAt = Date.now();
  }

  #handleEvent(kind, event) {
    this.#recordMessage();
    this.#after = event.lastEventId || this.#after;
    this.onRun(kind, JSON.parse(event.data));
  }

  // The server ends the oldest stream of a user who has many; opened again, it would end another one.
  #giveWay() {
    this.close();
    this.notice.textContent = "Live updates have moved to pages that you opened later: reload this page to update it.";
    this.notice.hidden = false;
  }

  #handleFailure(source) {
    if (source !== this.#source) return;
    source.close(); // after some answers the browser would not reconnect
    this.#interruptedAt ??= new Date();
    const delay = RETRY_DELAYS_MS[Math.min(this.#failures++, RETRY_DELAYS_MS.length - 1)];
    setTimeout(() => source === this.#source && this.open(), delay);
  }

  #check() {
    const isSilent = Date.now() - this.#lastMessageAt > HEARTBEAT_TIMEOUT_MS;
    if (this.#source && !this.isInterrupted && isSilent) this.#handleFailure(this.#source);
    if (this.isInterrupted && Date.now() - this.#interruptedAt > OUTAGE_NOTICE_MS && this.notice.hidden) {
      const at = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }).format(this.#interruptedAt);
      this.notice.textContent = `Live updates are interrupted: this page shows the state at ${at}. Reconnecting …`;
      this.notice.hidden = false;
    }
  }

  get isInterrupted() {
    return this.#interruptedAt !== null;
  }
}

// ---- runs that are newer than the list ----
class NewRuns {
  #ids = new Set();
  #place = document.querySelector("[data-newest]");

  add(run) {
    const isNewer = !this.#place?.dataset.newest || new Date(run.created_at) > new Date(this.#place.dataset.newest);
    if (!this.#place || this.#ids.has(run.id) || !isNewer) return;
    this.#ids.add(run.id);
    const count = this.#ids.size;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Show ${count} newer ${count === 1 ? "run" : "runs"}`;
    button.addEventListener("click", () => location.reload());
    if (this.#place.contains(document.activeElement)) this.#place.firstChild.textContent = button.textContent;
    else this.#place.replaceChildren(button);
  }
}

function followRuns(root) {
  const refresher = new Refresher();
  const newRuns = new NewRuns();
  const onRun = (kind, run) => {
    const element = findRun(run);
    if (kind === "removed") return element?.classList.add("removed");
    if (root.dataset.awaited !== undefined) return refresher.scheduleTwice();
    if (!element) return newRuns.add(run);
    if (run.version <= Number(element.dataset.version ?? 0)) return; // the greater version is the newer one
    element.dataset.version = run.version;
    const isOtherRun = element.dataset.job !== undefined && element.dataset.latest !== run.id;
    const isShown = !isOtherRun && run.state === "running" && showProgress(element, run);
    if (run.state !== element.dataset.state || !isShown) refresher.scheduleTwice();
    else if (element.dataset.runPage) refresher.schedule();
  };
  document.addEventListener("sluice:fetched", (event) => refresher.apply(event.detail.fresh, event.detail.used));
  const stream = new Stream(root, onRun, () => refresher.schedule());
  // Browsers limit the connections to a host, so a page in the background does not keep one.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stream.close();
    else stream.open();
    refresher.schedule();
  });
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => event.persisted && stream.open());
  // While the stream is interrupted, the job API still knows the progress of runs.
  setInterval(() => stream.isInterrupted && root.dataset.poll !== undefined && refresher.schedule(), POLL_INTERVAL_MS);
}

// ---- menus and toolbars ----
// A refused action is disabled with its reason; it can still be focused, so that everybody can read the reason.
function setRefusal(control, reason) {
  if (reason) control.setAttribute("aria-disabled", "true");
  else control.removeAttribute("aria-disabled");
  control.title = reason ?? "";
}

function handleClick(event) {
  if (event.target.closest("[aria-disabled=true]")) return event.preventDefault();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
}

function handleKey(event) {
  if (event.key !== "Escape") return;
  const menu = event.target.closest("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
}

// ---- selecting rows ----
// Why an action cannot be applied to so many selected rows; null where it can.
function findRefusal(button, count, output) {
  const { what, limit } = output.dataset;
  if (count === 0) return `Select a ${what} first: tick the box at the start of its row.`;
  if (button.dataset.needs === "one" && count > 1) return `Select exactly one ${what}.`;
  return limit && count > Number(limit) ? `Select at most ${limit} ${what}s.` : null;
}

function countSelection(form) {
  const all = form.querySelector("[data-select-all]");
  const output = form.querySelector("[data-selection-count]");
  if (!output) return;
  const boxes = () => [...form.querySelectorAll("input.row-box")];
  const update = () => {
    const checked = boxes().filter((box) => box.checked);
    const count = checked.reduce((sum, box) => sum + Number(box.dataset.count ?? 1), 0);
    const limit = Number(output.dataset.limit ?? Infinity);
    output.textContent = count ? `${count} selected${count > limit ? `, at most ${limit} at once` : ""}` : "Nothing selected";
    for (const button of form.querySelectorAll("[data-needs]")) setRefusal(button, findRefusal(button, count, output));
    if (all) {
      all.checked = count > 0 && checked.length === boxes().length;
      all.indeterminate = count > 0 && !all.checked;
    }
  };
  if (all && boxes().length) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
      update();
    });
  }
  form.addEventListener("change", update);
  update();
}

// ---- the editor of jobs: previews while typing ----
function previewJob(form) {
  const requests = {};
  const timers = {};
  const fields = [...form.querySelectorAll("input[type=datetime-local]")];
  const load = async (part) => {
    requests[part]?.abort();
    requests[part] = new AbortController();
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(`/jobs/preview/${part}`, { method: "POST", body, signal: requests[part].signal });
    if (!answer.ok || answer.redirected) return;
    const preview = document.getElementById(`preview-${part}`);
    preview.innerHTML = await answer.text();
    showLocalTimes(preview);
  };
  const schedule = (part, delay) => {
    clearTimeout(timers[part]);
    timers[part] = setTimeout(() => load(part).catch(() => undefined), delay); // unavailable, or a newer request follows
  };
  const showFieldTimes = () => {
    const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
    for (const field of fields) {
      const text = field.value ? `= ${format.format(new Date(`${field.value}Z`))} your time` : "";
      form.querySelector(`output[for=${field.id}]`).textContent = text;
    }
  };
  form.addEventListener("input", () => {
    showFieldTimes();
    schedule("schedule", 200);
    schedule("size", 600);
  });
  form.addEventListener("submit", (event) => {
    // The browser submits an incomplete date as an empty one: let it report the field instead.
    const incomplete = fields.find((field) => field.validity.badInput && field.offsetParent);
    if (incomplete) {
      event.preventDefault();
      incomplete.reportValidity();
    }
  });
  document.getElementById("errors")?.focus();
  showFieldTimes();
  schedule("size", 0);
}

// ---- copying commands and links ----
function addCopyButton(source) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  const label = source.getAttribute("aria-label") ?? "";
  button.setAttribute("aria-label", `Copy ${label || "the link"}`.replace("Copy Command", "Copy the command"));
  const status = document.createElement("span");
  status.className = "copied muted";
  status.setAttribute("role", "status");
  button.addEventListener("click", async () => {
    const text = source.value ?? source.textContent;
    // Browsers offer the clipboard to secure pages only: elsewhere the text is selected, ready to be copied.
    const isCopied = await (navigator.clipboard?.writeText(text) ?? Promise.reject(new Error())).then(() => true, () => false);
    if (!isCopied && source.select) source.select();
    else if (!isCopied) getSelection().selectAllChildren(source);
    status.textContent = isCopied ? "Copied" : "Selected: press Ctrl+C or ⌘C";
  });
  source.after(button, status);
}

document.addEventListener("click", handleClick);
document.addEventListener("keydown", handleKey);
document.addEventListener("change", (event) => {
  if (event.target.matches("select[form^=filter], input[type=date][form=filter]")) event.target.form.requestSubmit();
});
showLocalTimes(document);
for (const form of document.querySelectorAll("form")) countSelection(form);
for (const source of document.querySelectorAll("[data-copy]")) addCopyButton(source);
const editor = document.getElementById("editor");
if (editor) previewJob(editor);
const live = document.querySelector("[data-stream]");
if (live) followRuns(live);
