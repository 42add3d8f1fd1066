import { defineConfig } from "tsup";
import { program } from "../.ci/tsup.js";

export default defineConfig({
  ...program(["src/core.ts", "src/measure.ts"]),
  tsconfig: "../.ci/tsconfig.build.json",
});
