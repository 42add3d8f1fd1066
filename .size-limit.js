import { readFileSync } from "node:fs";

const core = JSON.parse(readFileSync(new URL("packages/core/package.json", import.meta.url), "utf8"));

export default [
  {
    name: "weftline, minified and gzipped, without its dependencies",
    path: "packages/core/dist/index.js",
    limit: "40 kB",
    gzip: true,
    ignore: ["node:*", ...Object.keys(core.dependencies)],
  },
];
