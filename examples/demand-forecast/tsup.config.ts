import { defineConfig } from "tsup";
import { program } from "../../.ci/tsup.js";

export default defineConfig(program(["src/main.ts"]));
