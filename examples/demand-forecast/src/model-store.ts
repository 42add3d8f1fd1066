import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type LinearModel, linearModelSchema } from "./model.js";

/** Where the deployed model lives. */
export interface ModelStore {
  /** The deployed model, or undefined before the first deployment. */
  read(): Promise<LinearModel | undefined>;
  /** Replaces the deployed model. Writing the same one twice changes nothing, so a retry does no harm. */
  write(model: LinearModel, metrics: object): Promise<void>;
}

/** Keeps the model as `model.json` in a folder, and how it scored as `metrics.json` beside it. */
export function modelFolder(folder: string): ModelStore {
  const modelFile = join(folder, "model.json");
  return {
    async read() {
      const text = await readFile(modelFile, "utf8").catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return undefined;
        throw error;
      });
      return text === undefined ? undefined : linearModelSchema.parse(JSON.parse(text));
    },
    async write(model, metrics) {
      await mkdir(folder, { recursive: true });
      await writeJson(join(folder, "metrics.json"), metrics);
      await writeJson(modelFile, model);
    },
  };
}

/** A reader sees the old file or the new one, never half of it. */
async function writeJson(file: string, value: object): Promise<void> {
  await writeFile(`${file}.new`, `${JSON.stringify(value, undefined, 2)}\n`);
  await rename(`${file}.new`, file);
}
