import { defineConfig } from "tsup";
import { program } from "../../.ci/tsup.js";

// The pipeline stands in a file of its own, which the workers import.
export default defineConfig(program(["src/main.ts", "src/pipeline.ts"]));
