// Makes elements. Texts go in as text nodes only: nothing that came from a server or a person is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null));
  return element;
}

/** An element with these attributes; those that begin with `on` are listeners. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for a drawing. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

export const byId = (id) => document.getElementById(id);

/** A table with a caption; a cell that is a number stands right. */
export function table(caption, heads, rows) {
  const cell = (value, at) =>
    at === 0
      ? el("th", { scope: "row", dir: "auto" }, value)
      : el("td", { class: typeof value === "object" ? undefined : "n", dir: "auto" }, value);
  return el(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head) => el("th", { scope: "col" }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) => el("tr", {}, row.map(cell))),
      ),
    ),
  );
}

/** Text in which `code` stands between grave accents, as in the comments of the contract. */
export function prose(text) {
  const parts = text.split("`");
  return parts.map((part, at) => (at % 2 === 1 && at < parts.length - 1 ? el("code", {}, part) : part));
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}%`;

/** A duration of proto3 JSON, such as `0.0023s`, in milliseconds. */
export const millis = (duration) => 1000 * parseFloat(duration ?? "0");

export function time(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 10) return `${ms.toFixed(ms >= 100 ? 0 : 1)} ms`;
  return ms >= 0.1 || ms === 0 ? `${ms.toFixed(2)} ms` : `${(1000 * ms).toFixed(0)} µs`;
}
