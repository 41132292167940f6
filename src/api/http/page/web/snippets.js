// The call that the form makes, for other programs. What a person wrote is escaped for each language; a key is never
// written into it.

/** The message of a call, in proto3 JSON; what is left to the server is left out. */
export function message({ texts, task, route, minConfidence }) {
  return {
    texts,
    ...(task ? { task } : {}),
    ...(route ? { route: `ROUTE_${route.toUpperCase()}` } : {}),
    ...(minConfidence === undefined ? {} : { minConfidence }),
  };
}

/** For a POSIX shell: between single quotes everything stands for itself but the quote. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Plain words of a shell stay as they are. */
const word = (text) => (/^[A-Za-z0-9_@%+=:,./[\]-]+$/.test(text) && !/[[\]]/.test(text) ? text : quoted(text));

/** A literal that JSON, Python and TypeScript read alike: their escapes are the same for all that JSON escapes. */
function literal(value, indent, step) {
  if (!Array.isArray(value)) return JSON.stringify(value);
  const items = value.map((item) => JSON.stringify(item));
  const line = `[${items.join(", ")}]`;
  return line.length <= 72 ? line : `[\n${items.map((item) => `${indent}${step}${item},\n`).join("")}${indent}]`;
}

const members = (document, indent, step, quote) =>
  Object.entries(document)
    .map(([name, value]) => `${indent}${quote(name)}: ${literal(value, indent, step)},\n`)
    .join("");

/** With the package of clients/python, which speaks gRPC. */
function pythonByPackage({ texts, task, route, minConfidence }, place) {
  const options = {
    ...(task ? { task } : {}),
    ...(route ? { route } : {}),
    ...(minConfidence === undefined ? {} : { min_confidence: minConfidence }),
  };
  const given = Object.entries(options).map(([name, value]) => `, ${name}=${JSON.stringify(value)}`);
  const how = [
    JSON.stringify(place.grpc),
    ...(place.secure ? ["tls=True"] : []),
    ...(place.keyed ? ['token=os.environ["TANDEM_KEY"]'] : []),
  ];
  return `# pip install ./clients/python, from Tandem's sources
${place.keyed ? "import os\n\n" : ""}from tandem_text import Client

texts = ${literal(texts, "", "    ")}
with Client(${how.join(", ")}) as client:
    for answer in client.predict(texts${given.join("")}):
        print(answer.label, answer.confidence, answer.tier)
`;
}

/** Where a browser can't tell the port of gRPC: with what comes with Python. */
function pythonOverHttp(document, url, place) {
  return `${place.keyed ? "import json, os, urllib.request" : "import json, urllib.request"}

question = {
${members(document, "    ", "    ", JSON.stringify)}}
request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=json.dumps(question).encode(),
    headers={
        "content-type": "application/json",
${place.keyed ? `        "authorization": "Bearer " + os.environ["TANDEM_KEY"],\n` : ""}    },
)
with urllib.request.urlopen(request, timeout=10) as response:
    answer = json.load(response)
for prediction in answer["predictions"]:
    print(prediction["label"], prediction["confidence"], prediction["tier"])
`;
}

/**
 * The call in four languages. `place` is where the server is: `url`, its gRPC address `grpc` (or undefined), whether it
 * speaks TLS (`secure`), and whether it wants a key (`keyed`).
 */
export function snippets(form, place) {
  const document = message(form);
  const json = JSON.stringify(document);
  const url = `${place.url}v1/predict`;
  const bearer = place.keyed ? ` \\\n  -H "authorization: Bearer $TANDEM_KEY"` : "";
  const grpcurl =
    place.grpc === undefined
      ? "# The gRPC door of this server has no port that a browser could tell; see its setting grpc_addr.\n"
      : `grpcurl${place.secure ? "" : " -plaintext"}${bearer} \\\n  -d ${quoted(json)} \\\n  ${word(place.grpc)} tandem.v1.PredictionService/Predict\n`;
  const curl = `curl -sS ${word(url)} \\\n  -H 'content-type: application/json'${bearer} \\\n  -d ${quoted(json)}\n`;
  const python = place.grpc === undefined ? pythonOverHttp(document, url, place) : pythonByPackage(form, place);
  const typescript = `type Prediction = { label: string; confidence: number; tier: string; decision: string };

const response = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: {
    "content-type": "application/json",
${place.keyed ? "    authorization: `Bearer ${process.env.TANDEM_KEY}`,\n" : ""}  },
  body: JSON.stringify({
${members(document, "    ", "  ", (name) => name)}  }),
});
if (!response.ok) throw new Error(await response.text());
const { predictions }: { predictions: Prediction[] } = await response.json();
for (const { label, confidence, tier } of predictions) console.log(label, confidence, tier);
`;
  return { grpcurl, curl, python, typescript };
}
