import { defineConfig } from "tsup";
import { library } from "../../.ci/tsup.js";

export default defineConfig(library(["src/index.ts", "src/worker-entry.ts", "src/watchdog.ts"]));
