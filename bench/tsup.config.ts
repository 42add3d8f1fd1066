import { defineConfig } from "tsup";
import { program } from "../.ci/tsup.js";

export default defineConfig({
  ...program([
    "src/core.ts",
    "src/measure.ts",
    // What workers load.
    "src/executors/fibo-work.ts",
    "src/executors/processes-bare.ts",
    "src/executors/processes-work.ts",
    "src/executors/threads-work.ts",
  ]),
  tsconfig: "../.ci/tsconfig.build.json",
});
