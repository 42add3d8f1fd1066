import { readFileSync } from "node:fs";

const core = JSON.parse(readFileSync(new URL("packages/core/package.json", import.meta.url), "utf8"));

export default [
  {
    name: "weftline, minified and gzipped, without its dependencies",
    path: "packages/core/dist/index.js",
    // The aim is 40 kB, which the core had before groups, waits, limits, reruns, ownership and recovery; this holds what
    // it has now.
    limit: "76 kB",
    gzip: true,
    ignore: ["node:*", ...Object.keys(core.dependencies)],
  },
];
