import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";

/** A file of JSON lines that several processes append to, each line on the disk before the call returns. */
export class LineFile {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  append(line: object): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** The lines that are whole: the last one may be torn where its writer was killed. Empty where there is no file. */
export function readLines<Line>(path: string): Line[] {
  if (!existsSync(path)) return [];
  const texts = readFileSync(path, "utf8").split("\n");
  return texts.flatMap((text) => {
    try {
      return text === "" ? [] : [JSON.parse(text) as Line];
    } catch {
      return []; // torn
    }
  });
}
