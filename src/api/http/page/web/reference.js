// The reference of the HTTP API, from the server's OpenAPI document.

import { el, prose } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** The thing that a reference inside the document points to. */
function resolve(document, thing) {
  const path = thing?.$ref?.split("/").slice(1);
  return path ? path.reduce((place, name) => place?.[name], document) : thing;
}

const nameOf = (reference) => reference.split("/").at(-1);

/** The type of a field in a few words, with links to the types that have a part of their own. */
function type(schema) {
  if (!schema || Object.keys(schema).length === 0) return "anything";
  if (schema.$ref) return el("a", { href: `#type-${nameOf(schema.$ref)}` }, nameOf(schema.$ref));
  const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choices) return choices.map((choice, at) => [at > 0 ? " or " : "", type(choice)]);
  if (schema.type === "array") return ["list of ", type(schema.items)];
  if (schema.type === "object" && typeof schema.additionalProperties === "object")
    return ["map to ", type(schema.additionalProperties)];
  const kinds = Array.isArray(schema.type) ? schema.type.join(" or ") : (schema.type ?? "anything");
  const bounds = [
    ["minimum", "≥"],
    ["maximum", "≤"],
    ["minItems", "items ≥"],
    ["maxItems", "items ≤"],
    ["maxLength", "length ≤"],
  ]
    .filter(([name]) => schema[name] !== undefined)
    .map(([name, sign]) => ` ${sign} ${schema[name]}`);
  return [schema.format ? `${kinds} (${schema.format})` : kinds, bounds];
}

function values(schema) {
  const known = schema?.enum ?? (schema?.const === undefined ? undefined : [schema.const]);
  if (!known) return undefined;
  return el(
    "p",
    {},
    "One of ",
    known.map((value, at) => [at > 0 ? ", " : "", el("code", {}, JSON.stringify(value))]),
    ".",
  );
}

function fields(schema) {
  const required = new Set(schema.required ?? []);
  const all = Object.entries(schema.properties ?? {});
  if (all.length === 0) return undefined;
  return el(
    "dl",
    { class: "fields" },
    all.map(([name, field]) => [
      el(
        "dt",
        {},
        el("code", {}, name),
        " ",
        el("span", { class: "soft" }, type(field), required.has(name) ? "" : ", optional"),
      ),
      el("dd", {}, field.description ? prose(field.description) : "", values(field)),
    ]),
  );
}

const json = (title, value) => [
  el("p", { class: "soft" }, title),
  el(
    "pre",
    { tabindex: "0", "aria-label": title },
    el("code", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2)),
  ),
];

function examples(content) {
  const several = Object.values(content.examples ?? {}).map((example) =>
    json(example.summary ?? "Example", example.value),
  );
  return content.example === undefined ? several : [json("Example", content.example), several];
}

function bodies(document, title, holder) {
  return Object.entries(resolve(document, holder)?.content ?? {}).map(([kind, content]) => [
    el("p", {}, `${title}: `, el("code", {}, kind), ", ", type(content.schema)),
    content.schema?.$ref ? undefined : fields(content.schema ?? {}),
    examples(content),
  ]);
}

function answers(document, responses) {
  return el(
    "dl",
    { class: "fields" },
    Object.entries(responses).map(([status, response]) => {
      const known = resolve(document, response);
      return [el("dt", {}, el("code", {}, status)), el("dd", {}, prose(known?.description ?? ""))];
    }),
  );
}

function operation(document, path, method, found) {
  const parameters = (found.parameters ?? []).map((parameter) => resolve(document, parameter)).filter(Boolean);
  return el(
    "details",
    { class: "operation" },
    el(
      "summary",
      {},
      el("span", { class: `method ${method}` }, method.toUpperCase()),
      " ",
      el("code", {}, path),
      " ",
      el("span", { class: "soft" }, prose(found.summary ?? "")),
    ),
    found.description ? el("p", {}, prose(found.description)) : undefined,
    parameters.length === 0
      ? undefined
      : [
          el("h4", {}, "Parameters"),
          el(
            "dl",
            { class: "fields" },
            parameters.map((parameter) => [
              el(
                "dt",
                {},
                el("code", {}, parameter.name),
                " ",
                el(
                  "span",
                  { class: "soft" },
                  `${parameter.in}, `,
                  type(parameter.schema),
                  parameter.required ? "" : ", optional",
                ),
              ),
              el("dd", {}, prose(parameter.description ?? "")),
            ]),
          ),
        ],
    found.requestBody ? [el("h4", {}, "Request"), bodies(document, "Body", found.requestBody)] : undefined,
    el("h4", {}, "Answers"),
    Object.entries(found.responses)
      .filter(([status]) => status.startsWith("2"))
      .map(([status, response]) => bodies(document, status, response)),
    answers(document, found.responses),
  );
}

function schema(name, found) {
  return el(
    "details",
    { id: `type-${name}` },
    el("summary", {}, el("code", {}, name), " ", el("span", { class: "soft" }, prose(found.description ?? ""))),
    fields(found),
    values(found),
    found.properties || found.enum ? undefined : el("p", {}, type(found)),
  );
}

/** Opens the type that a link goes to, so that there is something to see. */
function openLinked(event) {
  const link = event.target.closest?.("a[href^='#type-']");
  const target = link && document.getElementById(link.getAttribute("href").slice(1));
  for (let place = target; place; place = place.parentElement?.closest("details")) place.open = true;
}

/** The whole reference. */
export function reference(found) {
  const operations = Object.entries(found.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method, found: item[method] })),
  );
  const tags = [...(found.tags ?? []).map(({ name }) => name), undefined];
  const known = new Set(tags);
  const section = (tag) => {
    const here = operations.filter(
      ({ found: { tags: own } }) => (own?.find((name) => known.has(name)) ?? undefined) === tag,
    );
    const about = (found.tags ?? []).find(({ name }) => name === tag)?.description;
    return here.length === 0
      ? undefined
      : el(
          "div",
          {},
          el("h3", {}, tag ?? "other"),
          about ? el("p", {}, prose(about)) : undefined,
          here.map(({ path, method, found: one }) => operation(found, path, method, one)),
        );
  };
  const types = Object.entries(found.components?.schemas ?? {});
  return [
    el(
      "div",
      { onclick: openLinked },
      el("p", {}, prose(found.info.description?.split("\n\n")[0] ?? "")),
      tags.map(section),
      el(
        "details",
        { class: "types" },
        el(
          "summary",
          {},
          el("b", {}, "Types"),
          el("span", { class: "soft" }, ` ${types.length}, each linked where it is used`),
        ),
        types.map(([name, one]) => schema(name, one)),
      ),
    ),
  ];
}
