/** Chromium for the tests, driven by a line of JSON for each command and answered by one. */

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const PATIENCE = 30_000; // ms

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
});
const windows = new Map();

async function open({ window, url, width = 1280, height = 800, dark = false }) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  const origin = new URL(url).origin;
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // Chromium's own lines on requests that fail (a 404 that is meant, a server that is gone) are no fault of the page.
    const isOfNetwork = /Failed to load resource|WebSocket connection to/.test(message.text());
    if (message.type() === "error" && !isOfNetwork) complaints.push(message.text());
  });
  page.on("request", (request) => {
    const { origin: asked, hostname, pathname, protocol } = new URL(request.url());
    const isServer = hostname === "127.0.0.1" && pathname === "/local-socket.io/";
    if (!/^(data|blob):$/.test(protocol) && asked !== origin && !isServer) complaints.push(`asks ${request.url()}`);
  });
  windows.set(window, { context, page, complaints });
  await page.goto(url);
}

const ACTIONS = {
  click: ({ page }, { selector }) => page.locator(selector).first().click(),
  fill: ({ page }, { selector, text }) => page.locator(selector).first().fill(text),
  press: async ({ page }, { selector, key }) => {
    const element = page.locator(selector).first();
    await element.waitFor(); // a hidden element does not get the focus, and the key would be lost
    await element.press(key);
  },
  drag: ({ page }, { selector, to }) => page.locator(selector).first().dragTo(page.locator(to).first()),
  wait: ({ page }, { selector, state = "visible" }) => page.locator(selector).first().waitFor({ state }),
  texts: ({ page }, { selector }) => page.locator(selector).allInnerTexts(),
  values: ({ page }, { selector, name }) =>
    page.locator(selector).evaluateAll((all, of) => all.map((it) => it.getAttribute(of)), name),
  evaluate: ({ page }, { expression }) => page.evaluate(expression),
  reload: ({ page }) => page.reload(),
  screenshot: ({ page }, { path }) => page.screenshot({ path, animations: "disabled" }),
  complaints: ({ complaints }) => complaints,
  close: ({ context }) => context.close(),
};

async function obey({ command, ...rest }) {
  if (command === "open") return open(rest);
  if (command === "quit") return browser.close();
  return ACTIONS[command](windows.get(rest.window), rest);
}

console.log("chromium is ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...order } = JSON.parse(line);
  obey(order).then(
    (result) => console.log(JSON.stringify({ id, result: result ?? null })),
    (error) => console.log(JSON.stringify({ id, error: String(error) })),
  );
}
await browser.close();
