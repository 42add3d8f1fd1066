import { defineConfig } from "tsup";
import { esmLibrary } from "../../.ci/tsup.js";

export default defineConfig(esmLibrary(["src/index.ts", "src/bin.ts"]));
