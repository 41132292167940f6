// Begins the page: the form works without this; here it learns to answer in place, and the other parts are filled.

import { base, call, forgetKey, hasKey, Refused, setKey } from "./api.js";
import { cascades } from "./cascade.js";
import { byId, el } from "./dom.js";
import { list, models } from "./models.js";
import { reference } from "./reference.js";
import { snippets } from "./snippets.js";
import { problemOf, read, start } from "./try.js";

const form = byId("try-form");
let tasks = [];
let place = { url: base.href, grpc: undefined, secure: base.protocol === "https:", keyed: false };

/** The task that the form means; undefined as long as none is known. */
const chosenTask = () =>
  tasks.find((task) => (form.elements.task.value ? task.name === form.elements.task.value : task.isDefault));

/** A threshold is for a cascade alone. */
function fitThreshold() {
  const task = chosenTask();
  const route = form.elements.route.value || task?.defaultRoute?.slice("ROUTE_".length).toLowerCase();
  const threshold = form.elements.min_confidence;
  threshold.disabled = route !== "cascade";
  const inForce = task?.cascade?.minConfidence;
  threshold.placeholder = inForce === undefined ? "" : `${Number(inForce.toFixed(4))} in force`;
}

function showSnippets() {
  const asked = read(form);
  const shown = { ...asked, texts: asked.texts.length === 0 ? ["정말 재미있게 봤어요"] : asked.texts.slice(0, 20) };
  byId("call-cut").hidden = asked.texts.length <= 20;
  for (const [name, text] of Object.entries(snippets(shown, place))) byId(`code-${name}`).textContent = text;
}

/** Tabs as the ARIA practices have them: arrows move, one of them is in the order of Tab. */
function startTabs() {
  const tabs = [...byId("call-tabs").querySelectorAll("[role=tab]")];
  const choose = (tab, focus) => {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      byId(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
  };
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => choose(tab, false));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(tabs[to % tabs.length], true);
    });
  });
  choose(tabs[0], false);
}

/** The clipboard where browsers give it (TLS or this host), a selection elsewhere. */
async function copy(button) {
  const code = byId(button.dataset.copies);
  let told = "Copied";
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    window.getSelection().selectAllChildren(code);
    told = "Selected: copy it with Ctrl+C";
  }
  byId("copied").textContent = told;
  button.textContent = told;
  setTimeout(() => {
    button.textContent = "Copy";
    byId("copied").textContent = "";
  }, 2000);
}

let afterKey = () => {};

/** Asks for a key, then does what could not be done without. */
function wantKey(again, wrong) {
  afterKey = again;
  byId("key-wrong").hidden = !wrong;
  byId("key-bar").hidden = false;
  const dialog = byId("key-dialog");
  if (!dialog.open) dialog.showModal();
}

function startKeys() {
  const input = byId("key-input");
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(input.value.trim());
    input.value = "";
    byId("key-dialog").close();
    showKeyState();
    afterKey();
  });
  byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
  byId("key-change").addEventListener("click", () => wantKey(fill, false));
  byId("key-forget").addEventListener("click", () => {
    forgetKey();
    showKeyState();
  });
}

function showKeyState() {
  byId("key-bar").hidden = !place.keyed;
  byId("key-state").textContent = hasKey() ? "A key is kept for this tab." : "This server wants a key.";
  byId("key-forget").hidden = !hasKey();
}

function onRefused(refused, again) {
  if (refused.status === 401) wantKey(again, hasKey());
}

/** Fills a part of the page, or says why it can't be filled. */
async function part(id, make) {
  const section = byId(id);
  try {
    section.replaceChildren(...(await make()));
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    section.replaceChildren(problemOf(problem));
    if (problem.status === 401) wantKey(fill, hasKey());
  }
}

function useThreshold(task, threshold) {
  form.elements.task.value = tasks.find(({ name }) => name === task)?.isDefault ? "" : task;
  form.elements.route.value = "cascade";
  fitThreshold();
  form.elements.min_confidence.value = Number(Number(threshold).toFixed(4));
  showSnippets();
  byId("try").scrollIntoView();
  form.elements.text.focus();
}

function offerTasks() {
  const before = form.elements.task.value;
  const byDefault = tasks.find((task) => task.isDefault);
  const others = tasks.filter((task) => !task.isDefault);
  const choice = el(
    "select",
    { name: "task", id: "task" },
    byDefault
      ? el("option", { value: "" }, others.length > 0 ? `${byDefault.name} (default)` : byDefault.name)
      : undefined,
    others.map(({ name }) => el("option", { value: name }, name)),
  );
  form.elements.task.replaceWith(choice);
  if (others.some(({ name }) => name === before)) choice.value = before;
  fitThreshold();
}

/** Fills what needs the server's models and its document, with a key where there is one. */
async function fill() {
  if (place.keyed && !hasKey()) {
    for (const id of ["models-body", "cascade-body", "reference-body"]) {
      byId(id).replaceChildren(el("p", { class: "soft" }, "This part needs a key."));
    }
    return;
  }
  let found = { models: [], tasks: [] };
  await part("models-body", async () => {
    found = await list();
    return models(found.models);
  });
  if (found.models.length === 0) return;
  tasks = found.tasks;
  offerTasks();
  await part("cascade-body", async () => cascades(tasks, useThreshold));
  await part("reference-body", async () => reference(await call("openapi.json")));
}

async function about() {
  const facts = await call("page/server.json").catch(() => ({}));
  const host = base.hostname || "localhost";
  const grpc = facts.grpcPort ? `${host}:${facts.grpcPort}` : undefined;
  place = { ...place, keyed: facts.keys === true, grpc };
  byId("version").textContent = facts.version ? `version ${facts.version}` : "";
  const { state } = await call("readyz").catch(() => ({}));
  const pill = byId("state");
  pill.textContent = state ?? "not reached";
  pill.className = `chip ${state === "SERVING" || state === "serving" ? "good" : "bad"}`;
}

document.documentElement.classList.add("scripted");
startTabs();
startKeys();
start(form, onRefused);
for (const kind of ["input", "change"]) {
  form.addEventListener(kind, () => {
    fitThreshold();
    showSnippets();
  });
}
for (const button of document.querySelectorAll("[data-copies]")) button.addEventListener("click", () => copy(button));
await about();
showKeyState();
fitThreshold();
showSnippets();
if (place.keyed && !hasKey()) wantKey(fill, false);
await fill();
document.documentElement.dataset.ready = "";
