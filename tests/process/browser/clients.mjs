// The clients of grpc-web and of Connect on a page of another origin, in a real browser. Called by
// tests/process/browser_clients.rs:
//
//   node clients.mjs ADDRESS ORIGIN CONTRACT      asks the server about the texts of standard input, a JSON list
//
// CONTRACT is a file: the compiled protocol files. Prints what each client found, as JSON; where no browser runs here, says
// so in one line.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.env.AWS_LAMBDA_JS_RUNTIME = "nodejs22.x";
const { default: packed } = await import("@sparticuz/chromium");
const { chromium } = await import("playwright-core");
const { build } = await import("esbuild");

const [address, origin, contract] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(0, "utf8"));
const bundle = await build({
  entryPoints: [fileURLToPath(new URL("clients.js", import.meta.url))],
  bundle: true,
  format: "iife",
  write: false,
  logLevel: "error",
});
const FILES = {
  "/": { contentType: "text/html", body: '<!doctype html><meta charset="utf-8"><script src="/clients.js"></script>' },
  "/clients.js": { contentType: "text/javascript", body: bundle.outputFiles[0].text },
  "/contract.binpb": { contentType: "application/octet-stream", body: readFileSync(contract) },
};

let browser;
try {
  // A page asks a person before it may call this machine itself; nobody is there to answer.
  const args = ["--no-sandbox", "--disable-features=LocalNetworkAccessChecks"];
  browser = await chromium.launch({ executablePath: await packed.executablePath(), args });
} catch (problem) {
  console.log(`left out: no browser runs on this machine (${String(problem.message).split("\n")[0]})`);
  process.exit(0);
}
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.error(message.text()));
  // The page's own origin needs no server.
  await page.route(`${origin}/**`, (route) => {
    const file = FILES[new URL(route.request().url()).pathname];
    return route.fulfill(file ?? { status: 404 });
  });
  await page.goto(`${origin}/`);
  console.log(JSON.stringify(await page.evaluate(([address, texts]) => window.ask(address, texts), [address, texts])));
} finally {
  await browser.close();
}
