// The page in a real browser, as a person uses it. Called by tests/process/page.rs with the addresses of two servers:
//
//   node page.mjs OPEN KEYED KEY     without keys; with keys, of which KEY is one
//
// Prints the calls that the page offers for a hostile text, as JSON. Where no browser runs here, says so in one line.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The browser comes with the libraries that a bare machine lacks; so it is told to use them.
process.env.AWS_LAMBDA_JS_RUNTIME = "nodejs22.x";
const { default: packed } = await import("@sparticuz/chromium");
const { chromium } = await import("playwright-core");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const [open, keyed, key] = process.argv.slice(2);
const HOSTILE = `it's "quoted" \\ $HOME \`id\` $(id) %s \${1} !! ''' """ </script><img src=x onerror="hit=1">\n\u2028 좋다 🎬 # -- @`;
const LINES = ["정말 재미있게 봤어요", "시간이 아까운 영화", "<img src=x onerror=hit=1> 그저 그랬다"];

const start = async () => chromium.launch({ executablePath: await packed.executablePath(), args: ["--no-sandbox"] });

let browser;
try {
  browser = await start();
} catch (problem) {
  console.log(`left out: no browser runs on this machine (${String(problem.message).split("\n")[0]})`);
  process.exit(0);
}

const step = (name) => console.error(`· ${name}`);

/** A tab on a page of the server, which fails if the page breaks its own policy, throws, or asks another place. */
async function tab(context, address, expected = []) {
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !expected.some((part) => message.text().includes(part)))
      faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(address)) faults.push(`asks ${request.url()}`);
  });
  await page.goto(address);
  return { page, check: () => assert.deepEqual(faults, []) };
}

const ready = (page) => page.waitForSelector("html[data-ready]");

async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() =>
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }),
  );
  const faults = found.violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .slice(0, 3)
        .map((node) => node.html)
        .join(" | ")}`,
  );
  assert.deepEqual(faults, [], what);
  assert.ok(found.passes.length > 15, `${found.passes.length} rules applied`);
}

/** Fills the form and sends it with the keyboard. */
async function ask(page, text, { route = "", lines = true } = {}) {
  await page.locator("#text").fill(text);
  await page.locator("[name=lines]").setChecked(lines);
  await page.locator(`[name=route][value="${route}"]`).check();
  await page.locator("#text").press("Control+Enter");
}

async function tries(page) {
  step("a list by the cascade");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await ask(page, LINES.join("\n"), { route: "cascade" });
  await page.waitForSelector("#answers > li:nth-child(3)");
  await page.waitForFunction(() => document.querySelector("#status").textContent.includes("3 texts in"));
  assert.deepEqual(await page.locator("#answers .text").allTextContents(), LINES);
  for (const label of await page.locator("#answers .verdict strong").allTextContents()) {
    assert.match(label, /^(positive|negative)$/);
  }
  for (const why of await page.locator("#answers .because").allTextContents()) {
    assert.match(why, /The fast model was (not sure enough, so the deep one answered|sure enough)\./);
  }
  assert.match(await page.locator("#times").textContent(), /fast inference.*in the server.*sentiment-fast@1/s);
  assert.equal(await page.locator("#answers img").count(), 0);

  step("an explanation");
  const explain = page.locator("#answers > li:nth-child(3) button");
  await explain.click();
  await page.waitForSelector(".explanation");
  assert.equal(await page.locator(".coloured").textContent(), LINES[2]);
  assert.ok((await page.locator(".coloured span").count()) > 1);
  assert.ok((await page.locator(".ngrams li").count()) > 5);
  assert.equal(await page.evaluate(() => window.hit), undefined);

  step("a refusal");
  await ask(page, "a".repeat(16 * 1024 + 1), { route: "fast", lines: false });
  await page.waitForSelector("#problem .note");
  assert.match(await page.locator("#problem").textContent(), /INVALID_FIELD: texts\[0\].*Request/s);
}

async function slides(page) {
  step("the cascade's curve");
  const told = page.locator("dl.told");
  assert.match(await told.textContent(), /0\.8381in force/);
  const slider = page.locator("#cascade input[type=range]");
  await slider.press("Home");
  assert.match(await told.textContent(), /0% of texts/);
  assert.match(await slider.getAttribute("aria-valuetext"), /0% escalated/);
  await slider.press("End");
  assert.match(await told.textContent(), /100% of texts/);
  await page.getByRole("button", { name: "Back to the one in force" }).click();
  assert.match(await told.textContent(), /in force/);
  await slider.press("Home");
  await page.getByRole("button", { name: "Try it in the form" }).click();
  assert.equal(await page.locator("[name=route]:checked").getAttribute("value"), "cascade");
  assert.equal(await page.locator("#min_confidence").inputValue(), "0");
  await page.locator("[name=route][value=fast]").check();
  assert.ok(await page.locator("#min_confidence").isDisabled());
}

async function reads(page) {
  step("models and reference");
  assert.deepEqual(await page.locator("article h3 > span:first-child").allTextContents(), [
    "sentiment-deep",
    "sentiment-fast",
  ]);
  assert.ok((await page.locator(".operation").count()) >= 9);
  await page.locator(".operation summary", { hasText: "/v1/predict" }).click();
  await page.locator(".operation[open] a", { hasText: "PredictRequest" }).first().click();
  assert.ok(await page.locator("#type-PredictRequest").evaluate((type) => type.open && type.parentElement.open));
}

async function snippets(page) {
  step("the call to copy");
  await page.locator("#text").fill(HOSTILE);
  await page.locator("[name=lines]").uncheck();
  await page.locator("[name=route][value=fast]").check();
  await page.locator("#tab-grpcurl").focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.locator("#tab-curl").getAttribute("aria-selected"), "true");
  assert.ok(await page.locator("#panel-curl").isVisible());
  await page.locator("#panel-curl button").click();
  await page.waitForFunction(() => /Copied|Selected/.test(document.querySelector("#copied").textContent));
  const names = ["grpcurl", "curl", "python", "typescript"];
  const read = async (name) => [name, await page.locator(`#code-${name}`).textContent()];
  return Object.fromEntries(await Promise.all(names.map(read)));
}

async function withoutKeys() {
  const context = await browser.newContext();
  const { page, check } = await tab(context, open, ["400"]);
  await ready(page);
  await tries(page);
  await accessible(page, "light");
  await slides(page);
  await reads(page);
  const calls = await snippets(page);
  check();
  await context.close();
  return calls;
}

async function onPhoneInTheDark() {
  step("on a phone, in the dark");
  const context = await browser.newContext({
    viewport: { width: 360, height: 740 },
    colorScheme: "dark",
    isMobile: true,
    hasTouch: true,
  });
  const { page, check } = await tab(context, open);
  await ready(page);
  await ask(page, `${"아주긴낱말".repeat(60)}\n${LINES[0]}`, { route: "cascade" });
  await page.waitForSelector("#answers > li:nth-child(2)");
  await page.locator("#answers > li:nth-child(1) button").click();
  await page.waitForSelector(".explanation");
  for (const summary of await page.locator("section > div > details > summary, .operation > summary").all())
    await summary.click();
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(wide <= width, `${wide} > ${width}`);
  await accessible(page, "dark");
  check();
  await context.close();
}

async function withoutScripts() {
  step("without JavaScript");
  const context = await browser.newContext({ javaScriptEnabled: false });
  const { page } = await tab(context, open);
  await page.locator("#text").fill(LINES.join("\n"));
  await page.locator("[name=route][value=fast]").check();
  await page.getByRole("button", { name: "Classify" }).click();
  await page.waitForSelector("#answers > li:nth-child(3)");
  assert.deepEqual(await page.locator("#answers .text").allTextContents(), LINES);
  assert.equal(await page.locator("#answers meter").count(), 3);
  // What was written is still there, and the form works from there too.
  assert.equal(await page.locator("#text").inputValue(), LINES.join("\n"));
  await page.locator("[name=task]").fill("no-such-task");
  await page.getByRole("button", { name: "Classify" }).click();
  await page.waitForSelector("#failed");
  assert.match(await page.locator(".note").textContent(), /TASK_NOT_FOUND/);
  await page.getByRole("link", { name: "The form", exact: true }).click();
  await page.waitForSelector("#text");
  await context.close();
}

async function withKeys() {
  step("a key");
  const context = await browser.newContext();
  const { page, check } = await tab(context, keyed, ["401"]);
  await ready(page);
  await page.waitForSelector("#key-dialog[open]");
  await accessible(page, "the dialog");
  await page.locator("#key-input").fill("0123456789-wrong");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#key-wrong:not([hidden])");
  await page.locator("#key-input").fill(key);
  await page.keyboard.press("Enter");
  await page.waitForSelector("article");
  assert.equal(await page.locator("#key-dialog").evaluate((dialog) => dialog.open), false);
  await ask(page, LINES[0]);
  await page.waitForSelector("#answers > li");
  const kept = () => ({ tab: sessionStorage.length, browser: localStorage.length, cookies: document.cookie });
  assert.deepEqual(await page.evaluate(kept), { tab: 1, browser: 0, cookies: "" });
  const code = await page.locator("#call").textContent();
  assert.ok(code.includes("$TANDEM_KEY") && !code.includes(key));
  await page.reload();
  await page.waitForSelector("article");
  check();
  // Another tab asks again.
  const other = await tab(context, keyed, ["401"]);
  await other.page.waitForSelector("#key-dialog[open]");
  assert.equal(await other.page.evaluate(() => sessionStorage.length), 0);
  await context.close();
}

// A browser that dies as a whole, as one does now and then on a busy machine, is started anew; a page that crashes leaves
// its browser alive, and fails.
for (let left = 2; ; left--) {
  try {
    const calls = await withoutKeys();
    await onPhoneInTheDark();
    await withoutScripts();
    await withKeys();
    console.log(JSON.stringify({ text: HOSTILE, calls }));
    break;
  } catch (problem) {
    const died = !browser.isConnected() || String(problem).includes("browser has been closed");
    await browser.close();
    if (!died || left === 0) throw problem;
    step("the browser died, and is started anew");
    browser = await start();
  }
}
await browser.close();
