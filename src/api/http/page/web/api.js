// Calls the server. A key, where the server wants one, is kept for this tab only, and sent to this server only.

const PLACE = "tandem-key";

/** A call that the server refused, or that did not reach it. */
export class Refused extends Error {
  constructor(status, facts) {
    super(facts.message ?? `the server answered with status ${status}`);
    this.status = status;
    this.reason = facts.reason ?? "";
    this.requestId = facts.requestId ?? "";
    this.retryAfterMs = facts.retryAfterMs;
    this.fields = facts.fieldViolations ?? [];
  }
}

export const hasKey = () => sessionStorage.getItem(PLACE) !== null;
export const setKey = (key) => sessionStorage.setItem(PLACE, key);
export const forgetKey = () => sessionStorage.removeItem(PLACE);

/** Asks for a path, or posts a document to it; returns the answer's document. */
export async function call(path, document, signal) {
  const headers = {};
  const key = sessionStorage.getItem(PLACE);
  if (key !== null) headers.authorization = `Bearer ${key}`;
  const request = { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  if (document !== undefined) {
    headers["content-type"] = "application/json";
    request.method = "POST";
    request.body = JSON.stringify(document);
  }
  let response;
  try {
    response = await fetch(new URL(path, base), request);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refused(0, { message: "the server can't be reached" });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok && path !== "readyz") throw new Refused(response.status, answer.error ?? {});
  return answer;
}

/** The folder of this page, also behind a proxy that puts it under a path of its own. */
export const base = new URL("./", window.location.href);
