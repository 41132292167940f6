// Checks objects of cert-manager, the Gateway API, KEDA and the Prometheus operator, by the packages of package.json, in two ways:
// by the schemas of their definitions, which say what must be there and what may be; and by TypeScript's types of the same
// definitions, which refuse fields that nobody knows. Reads a JSON list of objects on standard input; prints what is wrong.
// `node crds.mjs FOLDER_OF_NODE_MODULES`

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const packages = {
  "cert-manager.io": "cert-manager",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};
const modules = resolve(process.argv[2]);
const moduleOf = (object) => `@kubernetes-models/${packages[object.apiVersion.split("/")[0]]}/${object.apiVersion}`;

const objects = JSON.parse(readFileSync(0, "utf8"));
for (const object of objects) {
  const path = join(modules, moduleOf(object), "index.js");
  const Model = (await import(pathToFileURL(path)))[object.kind];
  try {
    new Model(object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata.name}: ${error.message}`);
  }
}

// A program that gives each object its type. It lies among the modules, so that imports find them.
const folder = mkdtempSync(join(modules, ".objects-"));
try {
  const program = join(folder, "objects.mts");
  const lines = objects.flatMap((object, at) => [
    `import { type I${object.kind} as T${at} } from "${moduleOf(object)}";`,
    `export const object${at}: T${at} = ${JSON.stringify(object)};`,
  ]);
  writeFileSync(program, lines.join("\n"));
  const ts = createRequire(modules + "/")("typescript");
  const options = { noEmit: true, strict: true, skipLibCheck: true, types: [], module: ts.ModuleKind.NodeNext };
  for (const found of ts.getPreEmitDiagnostics(ts.createProgram([program], options))) {
    const line = found.file?.fileName.endsWith("objects.mts")
      ? found.file.getLineAndCharacterOfPosition(found.start).line
      : undefined;
    const object = line === undefined ? undefined : objects[Math.floor(line / 2)];
    const name = object ? `${object.kind} ${object.metadata.name}` : "types";
    console.log(`${name}: ${ts.flattenDiagnosticMessageText(found.messageText, " ")}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
