// The list of jobs: what the selection allows, switching a state in place, and moving between the rows by arrow keys.

const form = document.getElementById("selected");
const refusals = document.getElementById("refusals");
const selectAll = document.querySelector("[data-select-jobs]");
const SINGLE = new Set(["edit", "clone", "history"]); // what can be done with one job only
const CONTROLS = "input, a[href], button:not([popover] *), [tabindex]";

const boxes = () => [...document.querySelectorAll("input[name=job]")];
const rows = () => [...document.querySelectorAll("tr[data-job]")];

// ---- the selection ----
// A refused action is disabled with its reason; it can still be focused, so that everybody can read the reason.
function setRefusal(control, reason) {
  if (reason) control.setAttribute("aria-disabled", "true");
  else control.removeAttribute("aria-disabled");
  control.title = reason ?? "";
}

function findRefusal(action, selected) {
  if (!selected.length) return "Select a job in the list first.";
  if (SINGLE.has(action) && selected.length > 1) return "Select a single job.";
  const reasons = selected.map((row) => row.getAttribute(`data-refused-${action}`));
  if (selected.length === 1) return reasons[0];
  return reasons.every((reason) => reason) ? "None of the selected jobs allows it." : null;
}

function updateToolbar() {
  const selected = boxes().filter((box) => box.checked).map((box) => box.closest("tr"));
  document.querySelector("[data-selected]").textContent = selected.length ? `${selected.length} selected` : "";
  if (selectAll) {
    selectAll.checked = selected.length > 0 && selected.length === boxes().length;
    selectAll.indeterminate = selected.length > 0 && !selectAll.checked;
  }
  if (document.querySelector("[data-denied]")) return;
  const reasons = [];
  for (const button of document.querySelectorAll("[data-action]")) {
    const reason = findRefusal(button.dataset.action, selected);
    setRefusal(button, reason);
    if (selected.length === 1 && reason) reasons.push(`${button.textContent.trim()}: ${reason}`);
  }
  refusals.textContent = reasons.join(" ");
}

// ---- switching a state: nothing is reloaded, nothing moves ----
async function switchState(button) {
  const row = button.closest("tr");
  const body = new URLSearchParams(new FormData(form));
  body.delete("job");
  const answer = await fetch(button.formAction, { method: "POST", body }).catch(() => null);
  const fresh = answer && new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!answer?.ok || !fresh.querySelector(`tr[data-job="${row.dataset.job}"]`)) {
    form.requestSubmit(button); // the page says what is wrong: a login that is needed, a job that is gone
    return;
  }
  document.dispatchEvent(new CustomEvent("sluice:fetched", { detail: { fresh, used: row } }));
  row.querySelector(".switch").focus({ preventScroll: true });
  refusals.textContent = fresh.querySelector(".notice")?.textContent.trim() ?? "";
}

// ---- moving between rows: one row at a time is reached by the Tab key, the others by arrows ----
function findControls(row) {
  return [...row.querySelectorAll(CONTROLS)].filter((control) => !control.closest("[popover]"));
}

function setCurrentRow(current) {
  for (const row of rows()) {
    for (const control of findControls(row)) control.tabIndex = row === current ? 0 : -1;
  }
}

function handleArrow(event) {
  const row = event.target.closest?.("tr[data-job]");
  if (!row || event.target.closest("[popover]") || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = rows();
  const place = { ArrowDown: all.indexOf(row) + 1, ArrowUp: all.indexOf(row) - 1, Home: 0, End: all.length - 1 }[event.key];
  const next = all[place];
  if (!next) return;
  event.preventDefault();
  const column = event.target.closest("td, th").cellIndex;
  setCurrentRow(next);
  const target = findControls(next).find((control) => control.closest("td, th").cellIndex === column);
  (target ?? findControls(next)[0]).focus();
}

if (form) {
  document.addEventListener("change", updateToolbar);
  document.addEventListener("sluice:refreshed", () => {
    setCurrentRow(document.activeElement.closest("tr[data-job]") ?? rows().find((row) => findControls(row)[0]?.tabIndex === 0));
    updateToolbar();
  });
  document.addEventListener("keydown", handleArrow);
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.("tr[data-job]");
    if (row) setCurrentRow(row);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".switch");
    if (button && !event.defaultPrevented) {
      event.preventDefault();
      switchState(button);
      return;
    }
    const row = event.target.closest("tr[data-job]");
    if (row && !event.target.closest("a, button, label, input, .progress, [popover]")) row.querySelector("input[name=job]").click();
  });
  if (selectAll && boxes().length) {
    selectAll.hidden = false;
    selectAll.addEventListener("change", () => {
      for (const box of boxes()) box.checked = selectAll.checked;
    });
  }
  for (const left of document.querySelectorAll("[data-left]")) {
    const box = document.getElementById(`j${left.dataset.left}`);
    if (box) box.checked = true; // a refused action keeps its selection
  }
  setCurrentRow(rows()[0]);
  updateToolbar();
}
