// Makes dist/ of the modules of the server's source: one ES module with its source map, and the types.
// A file is replaced as a whole and only if it changes, because a page may be reading it.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const source = (name) => here(`../tuleaprt/web/static/client/${name}`);

function write(path, text) {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeFileSync(`${path}.${process.pid}`, text);
  renameSync(`${path}.${process.pid}`, path);
}

const { outputFiles } = await build({
  entryPoints: [source("tuleaprt-client.js")],
  outfile: here("dist/tuleaprt-client.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  sourcemap: true,
  write: false,
  logLevel: "warning",
});
mkdirSync(here("dist"), { recursive: true });
for (const { path, text } of outputFiles) write(here(`dist/${basename(path)}`), text);
write(here("dist/tuleaprt-client.d.ts"), readFileSync(source("tuleaprt-client.d.ts"), "utf8"));
write(here("LICENSE"), readFileSync(here("../LICENSE"), "utf8"));
