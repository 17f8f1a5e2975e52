// What moves: progress of running jobs, and the viewer's own time beside UTC. Everything else works without this.
const EVERY_MS = 2000;

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

function left(run) {
  if (run.eta_seconds === null) return "the time left is not known yet";
  const band = run.eta_low === null || run.eta_high === null ? "" : `, ${inWords(run.eta_low)} to ${inWords(run.eta_high)}`;
  return `about ${inWords(run.eta_seconds)} left${band}`;
}

function show(live, run) {
  if (run.progress !== null) {
    live.querySelector("progress").value = run.progress;
    live.querySelector("output").textContent = `${Math.floor(run.progress * 100)} %`;
  }
  live.querySelector(".hint").textContent = left(run);
}

async function follow(row) {
  const answer = await fetch(`/api/v1/jobs/${row.dataset.job}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const run = (await answer.json()).latest_run;
  const live = row.querySelector(".live");
  if (run !== null && run.state === "running" && live) show(live, run);
  else if (run !== null && (live || run.ended_at)) location.reload();
}

async function turn() {
  if (!document.hidden && !document.querySelector("form :focus")) {
    for (const row of document.querySelectorAll("tr[data-busy]")) {
      await follow(row).catch(() => undefined); // away for a moment: the next turn asks again
    }
  }
  setTimeout(turn, EVERY_MS);
}

localTimes(document);
setTimeout(turn, EVERY_MS);
