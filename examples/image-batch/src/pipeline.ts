import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "weftline";
import { z } from "zod";
import { mainColours } from "./colours.js";
import { contactSheet } from "./contact-sheet.js";
import { PHOTOGRAPHS, photograph } from "./photographs.js";
import { decodeJpeg, encodeJpeg } from "./pixels.js";
import { resize } from "./resize.js";

const QUALITY = 82;
const COLOURS = 5;

export interface WebImage {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Photograph {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly colours: readonly string[];
  readonly images: readonly WebImage[];
}

/** Photographs as the web wants them: several widths of each, its main colours, and a page that shows them all. */
export const imageBatch = pipeline(
  "image-batch",
  {
    params: z.object({
      folder: z.string(),
      photographs: z.array(z.string()).default([...PHOTOGRAPHS]),
      widths: z.array(z.int().min(1).max(10_000)).min(1).default([800, 400, 200, 100]),
    }),
    defaults: { timeout: "2m" },
  },
  (p) => {
    const names = p.task("choose", async ({ params }) => {
      await mkdir(params.folder, { recursive: true });
      return params.photographs;
    });
    // The work for the processors. Where it runs is the deployment's to say.
    const photographs = p.map("photograph", { over: names, executor: "cpu" }, async (context): Promise<Photograph> => {
      const { item: name, params, signal, log, progress } = context;
      const file = photograph(name);
      const original = decodeJpeg(file);
      log(`${original.width} × ${original.height}, ${file.length} bytes`);
      const images: WebImage[] = [];
      for (const width of params.widths.filter((wanted) => wanted <= original.width)) {
        signal.throwIfAborted();
        const scaled = resize(original, width);
        const bytes = encodeJpeg(scaled, QUALITY);
        const target = `${name}-${width}.jpg`;
        await writeFile(join(params.folder, target), bytes);
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        images.push({ file: target, width, height: scaled.height, bytes: bytes.length, sha256 });
        progress(images.length / params.widths.length, target);
      }
      const { width, height } = original;
      return { name, width, height, bytes: file.length, colours: mainColours(resize(original, 64), COLOURS), images };
    });
    const checked = p.check("complete", { needs: { names, photographs } }, ({ input }) => ({
      passed: input.photographs.every(({ images }) => images.length > 0),
      value: input.photographs.length,
      message: `${input.photographs.length} of ${input.names.length} photographs have web images`,
    }));
    const sheet = p.task(
      "contact-sheet",
      { needs: { photographs }, after: [checked] },
      async ({ input, params, artifact }) => {
        const html = contactSheet(input.photographs);
        await writeFile(join(params.folder, "index.html"), html);
        artifact({ name: "contact-sheet.html", contentType: "text/html; charset=utf-8", data: html });
        return "index.html";
      },
    );
    return { photographs, sheet };
  },
);
