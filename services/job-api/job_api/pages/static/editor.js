// The editor of jobs: what is typed is kept on the server, and leaving with unsaved changes asks first.

const KEEP_DELAY_MS = 1000; // how long after the last change a draft is stored

class DraftKeeper {
  #form;
  #shown; // the form as the page shows it
  #kept; // the form as it was last stored
  #timer = null;
  #isLeaving = false;

  constructor(form) {
    this.#form = form;
    this.#shown = this.#kept = this.#serialize();
    this.notice = document.createElement("p");
    this.notice.className = "stale";
    this.notice.setAttribute("role", "status");
    this.notice.hidden = true;
    document.body.append(this.notice);
    form.addEventListener("input", () => this.#schedule());
    form.addEventListener("submit", (event) => {
      this.#isLeaving = !event.defaultPrevented;
      clearTimeout(this.#timer);
    });
    addEventListener("beforeunload", (event) => this.#isLeaving || !this.#hasChanges || event.preventDefault());
    addEventListener("pagehide", () => this.#isLeaving || this.#keep());
    addEventListener("pageshow", (event) => event.persisted && location.reload()); // it may have been saved since
  }

  get #hasChanges() {
    return this.#serialize() !== this.#shown;
  }

  #schedule() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#keep(), KEEP_DELAY_MS);
  }

  // Without what a draft never has: a file, and the token of the form.
  #serialize() {
    const fields = [...new FormData(this.#form)].filter(([name, value]) => typeof value === "string" && name !== "csrf");
    return new URLSearchParams(fields).toString();
  }

  async #keep() {
    const body = this.#serialize();
    if (body === this.#kept) return;
    const csrf = this.#form.elements.csrf.value;
    const answer = await fetch(`/jobs/drafts/${this.#form.dataset.draft}`, {
      method: "POST",
      body: new URLSearchParams(`${body}&csrf=${encodeURIComponent(csrf)}`),
      keepalive: true,
    }).catch(() => null);
    if (answer?.ok) this.#kept = body;
    this.notice.hidden = answer?.status !== 401;
    this.notice.textContent = "Your session has ended. Save asks for your password, and nothing that you entered is lost.";
  }
}

const form = document.getElementById("editor");
if (form) new DraftKeeper(form);
document.getElementById("conflicts")?.focus();
