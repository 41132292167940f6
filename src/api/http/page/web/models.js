// What models the server has loaded.

import { call } from "./api.js";
import { el } from "./dom.js";

const lower = (name, prefix) => name.slice(prefix.length).toLowerCase().replaceAll("_", " ");

/** Every loaded version of every model, and the tasks. */
export async function list() {
  const found = { models: [], tasks: [] };
  let token = "";
  do {
    const page = await call(`v1/models?pageSize=200&pageToken=${encodeURIComponent(token)}`);
    found.models.push(...page.models);
    found.tasks.push(...(page.tasks ?? []));
    token = page.nextPageToken;
  } while (token !== "" && found.models.length < 1000);
  return found;
}

function preprocessing(facts) {
  if (facts.tokenizer) return `tokenizer, at most ${facts.tokenizer.maxTokenCount} tokens`;
  if (facts.hashedNgrams) {
    const { minNgramLength, maxNgramLength, bucketCount } = facts.hashedNgrams;
    return `n-grams of ${minNgramLength} to ${maxNgramLength} characters, ${Number(bucketCount).toLocaleString("en")} buckets`;
  }
  return "the text as it is";
}

/** A figure of the manifest, as it is: what it means, its name says. Nested tables are left to the API. */
const metric = ([name, value]) => (typeof value === "object" ? undefined : `${name.replaceAll("_", " ")} ${value}`);

const ROLES = {
  VERSION_ROLE_STABLE: "stable: those that name no version",
  VERSION_ROLE_CANARY: "canary: a share of those that name no version",
  VERSION_ROLE_PINNED: "those that name this version",
};

function model(entry) {
  const {
    model: { name, version, fingerprint, tier },
    labels,
  } = entry;
  const state = lower(entry.state, "SERVING_STATE_");
  const shown = labels.slice(0, 12);
  const metrics = Object.entries(entry.metrics ?? {})
    .map(metric)
    .filter((known) => known !== undefined);
  const fact = (title, value) =>
    value === "" || value === undefined ? undefined : [el("dt", {}, title), el("dd", { dir: "auto" }, value)];
  return el(
    "article",
    {},
    el(
      "h3",
      {},
      el("span", { dir: "auto" }, name),
      el("span", { class: "soft" }, `@${version}`),
      " ",
      el("span", { class: `chip ${lower(tier, "TIER_")}` }, lower(tier, "TIER_")),
      " ",
      el("span", { class: `chip ${state === "serving" ? "good" : "bad"}` }, state),
    ),
    entry.description ? el("p", { dir: "auto" }, entry.description) : undefined,
    entry.message ? el("p", { class: "note", dir: "auto" }, entry.message) : undefined,
    el(
      "dl",
      {},
      fact("requests", ROLES[entry.role]),
      fact("tasks", entry.tasks.join(", ")),
      fact(
        "labels",
        shown.join(", ") + (labels.length > shown.length ? `, and ${labels.length - shown.length} more` : ""),
      ),
      fact("reads", preprocessing(entry.preprocessing)),
      fact("at once", `${entry.limits.maxBatchSize} texts`),
      fact("measured", metrics.join(", ")),
      fact("checked", entry.verified ? "against answers of its training framework" : "nobody compared its answers"),
      fact("licence", entry.license),
      fact("fingerprint", el("code", {}, fingerprint)),
    ),
  );
}

export const models = (entries) => (entries.length === 0 ? [el("p", {}, "No model is loaded.")] : entries.map(model));
