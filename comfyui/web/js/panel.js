// What does preheat show in ComfyUI's sidebar? How much the cache served, which executables the
// workflow on the page needs and which of them are there, and what is in the cache. One button
// compiles what is missing. The server answers all questions (http_api.py).

import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { bytes, chip, element, percent, seconds } from "./elements.js";

/** How long the graph must stay the same before the server is asked about it, in milliseconds. */
const PAUSE_MS = 400;
/** The words for each verdict of the server. */
const WORDS = {
  hit: "warm",
  partial: "partly warm",
  miss: "cold",
  torch: "on torch",
  unknown: "not known",
};
/** The server's messages after which the cache may have changed. */
const ENDS = ["execution_success", "execution_error", "execution_interrupted"];

/** Sends a request to the server, and returns the answer. */
async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await api.fetchApi(path, options);
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Error(said.error?.message ?? said.error ?? `${path} answered ${answer.status}`);
  }
  return said;
}

class Panel {
  constructor(place) {
    this.numbers = element("div", { class: "preheat-numbers" });
    this.verdict = element("span");
    this.samplers = element("div");
    this.button = element("button", { class: "preheat-warm", disabled: true }, "Nothing to warm");
    this.said = element("p", { class: "preheat-said", role: "status" });
    this.calls = element("div");
    this.entries = element("div");
    place.replaceChildren(
      element("div", { class: "preheat-panel" }, [
        element("h2", {}, "preheat"),
        this.numbers,
        element("h3", {}, ["This workflow ", this.verdict]),
        this.samplers,
        this.button,
        this.said,
        element("h3", {}, "Calls since ComfyUI started"),
        this.calls,
        element("h3", {}, "The cache's entries"),
        this.entries,
      ]),
    );
    this.button.addEventListener("click", () => this.warm());
    this.edited = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.lookUp(), PAUSE_MS);
    };
    this.ended = () => this.refresh();
    api.addEventListener("graphChanged", this.edited);
    for (const end of ENDS) api.addEventListener(end, this.ended);
    this.refresh();
  }

  close() {
    clearTimeout(this.timer);
    api.removeEventListener("graphChanged", this.edited);
    for (const end of ENDS) api.removeEventListener(end, this.ended);
  }

  async refresh() {
    await Promise.all([this.count(), this.lookUp()]);
  }

  /** Shows the statistics and the entries. */
  async count() {
    try {
      const [stats, entries] = await Promise.all([ask("/preheat/stats"), ask("/preheat/entries")]);
      this.showNumbers(stats.cache);
      this.showCalls(stats.comfyui);
      this.showEntries(entries);
    } catch (error) {
      this.numbers.replaceChildren(element("p", { class: "preheat-note" }, error.message));
    }
  }

  /** Looks up whether the workflow on the page would have to compile. */
  async lookUp() {
    // An edit while the server works starts another lookup, whose answer counts.
    const turn = (this.turn = (this.turn ?? 0) + 1);
    let found;
    try {
      this.prompt = (await app.graphToPrompt()).output;
      const empty = !Object.keys(this.prompt).length;
      found = empty ? { samplers: [] } : await ask("/preheat/lookup", { prompt: this.prompt });
    } catch (error) {
      found = { samplers: [], error: error.message };
    }
    if (turn === this.turn) this.showWorkflow(found);
  }

  /** Queues a warmup of everything that is cold. */
  async warm() {
    this.button.disabled = true;
    try {
      const sent = { prompt: this.prompt, client_id: api.clientId };
      await ask("/preheat/warmup", sent);
      this.say("Queued. The queue and the bar show how it goes on.");
    } catch (error) {
      this.say(error.message);
      this.lookUp();
    }
  }

  say(words) {
    this.said.textContent = words;
  }

  showNumbers(cache) {
    const tiles = [
      ["hit rate", percent(cache.requests.hit_rate)],
      ["compiling saved", seconds(cache.compile_seconds_saved)],
      ["on disk", bytes(cache.stored_bytes)],
      ["entries", String(cache.entries)],
    ];
    this.numbers.replaceChildren(
      ...tiles.map(([name, value]) =>
        element("div", { class: "preheat-tile" }, [
          element("strong", {}, value),
          element("span", {}, name),
        ]),
      ),
    );
  }

  showWorkflow({ verdict, samplers, error }) {
    const cold = samplers.filter((one) => ["miss", "partial"].includes(one.verdict));
    this.verdict.replaceChildren(...(samplers.length ? [chip(verdict, WORDS)] : []));
    const none = error ?? "No node in this workflow samples a model.";
    const empty = [element("p", { class: "preheat-note" }, none)];
    this.samplers.replaceChildren(...(samplers.length ? samplers.map(sampler) : empty));
    this.button.disabled = !cold.length;
    this.button.textContent = cold.length ? "Warm what is cold" : "Nothing to warm";
    if (!cold.length) this.say("");
  }

  showCalls({ calls_served, calls_on_torch, reasons }) {
    const lines = Object.entries(reasons).map(([reason, count]) => `${count}: ${reason}`);
    this.calls.replaceChildren(
      element("p", {}, `${calls_served} on preheat, ${calls_on_torch} on torch`),
      ...lines.map((line) => element("p", { class: "preheat-note" }, line)),
    );
  }

  showEntries(entries) {
    if (!entries.length) {
      this.entries.replaceChildren(element("p", { class: "preheat-note" }, "There are none yet."));
      return;
    }
    const head = ["what", "size", "saved", "hits"];
    const cells = (entry) => [
      element("td", { title: `${entry.graph_key}\n${entry.device}, ${entry.dtype}` }, [
        element("div", {}, entry.model || entry.stage),
        element("span", { class: "preheat-note" }, `${entry.stage} ${shape(entry.shape)}`),
      ]),
      element("td", {}, bytes(entry.stored_bytes)),
      element("td", {}, seconds(entry.saved_seconds)),
      element("td", {}, String(entry.hits)),
    ];
    this.entries.replaceChildren(
      element("table", {}, [
        element("tr", {}, head.map((name) => element("th", {}, name))),
        ...entries.map((entry) => element("tr", {}, cells(entry))),
      ]),
    );
  }
}

/** The shape of a signature, as the pixels of the pictures. */
function shape(dims) {
  if (dims?.length !== 4) return "";
  const [batch, , height, width] = dims;
  return `${width * 8}x${height * 8}, batch ${batch}`;
}

/** A node that samples, with what it needs. */
function sampler(found) {
  const about = [
    found.network,
    found.device,
    found.dtype,
    found.size && `${found.size.join("x")}, ${found.batch} at once`,
  ];
  const title = element("button", { class: "preheat-title", title: "Show this node" }, found.title);
  title.addEventListener("click", () => show(found.node));
  return element("div", { class: "preheat-sampler" }, [
    element("div", { class: "preheat-line" }, [title, chip(found.verdict, WORDS)]),
    element("p", { class: "preheat-note" }, about.filter(Boolean).join(" · ")),
    ...found.stages.map(stage),
    ...found.notes.map((note) => element("p", { class: "preheat-note" }, note)),
  ]);
}

/** An executable that a node needs. */
function stage(found) {
  const size = found.batch ? `batch ${found.batch}, ${found.tokens} tokens` : found.stage;
  const cost = found.expected_compile_seconds;
  let words = found.verdict === "hit" ? "warm" : "cold";
  if (found.in_halves) words = "warm, in two halves";
  if (words === "cold" && cost) words = `cold, about ${seconds(cost)}`;
  return element("div", { class: `preheat-line preheat-stage preheat-${found.verdict}` }, [
    element("span", {}, size),
    element("span", {}, words),
  ]);
}

/** Moves the canvas to a node. */
function show(id) {
  const node = app.graph.getNodeById(id) ?? app.graph.getNodeById(Number(id));
  if (node) app.canvas.centerOnNode(node);
}

app.registerExtension({
  name: "preheat.panel",
  setup() {
    // The style is loaded first, because the tab's icon is in it.
    const style = new URL("panel.css", import.meta.url).href;
    document.head.append(element("link", { rel: "stylesheet", href: style }));
    let panel;
    app.extensionManager.registerSidebarTab({
      id: "preheat",
      icon: "preheat-icon",
      title: "preheat",
      tooltip: "preheat: what is compiled, and what this workflow still needs",
      type: "custom",
      render: (place) => {
        panel?.close();
        panel = new Panel(place);
      },
      destroy: () => {
        panel?.close();
        panel = undefined;
      },
    });
  },
});
