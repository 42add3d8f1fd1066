import { StringDecoder } from "node:string_decoder";

export interface OutputLinesOptions {
  /** Receives each line, without its end. */
  readonly line: (line: string) => void;
  /** Receives, once, how much came after the limit. */
  readonly dropped: (lines: number, bytes: number) => void;
  /** Default: 2,000. */
  readonly maxLines?: number;
  /** Default: 1 MiB. */
  readonly maxBytes?: number;
}

const DEFAULT_MAX_LINES = 2_000;
const DEFAULT_MAX_BYTES = 1_048_576;
/** A line that does not end is cut here, so that it never fills the memory. */
const MAX_LINE_LENGTH = 16_384;

/** Cuts what a task writes to an output stream into lines, up to a limit; what comes then is counted and dropped. */
export class OutputLines {
  readonly #options: Required<OutputLinesOptions>;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  #lines = 0;
  #bytes = 0;
  #droppedLines = 0;
  #droppedBytes = 0;

  constructor(options: OutputLinesOptions) {
    this.#options = { maxLines: DEFAULT_MAX_LINES, maxBytes: DEFAULT_MAX_BYTES, ...options };
  }

  write(chunk: string | Uint8Array): void {
    const size = typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.byteLength;
    if (this.#isFull) return this.#drop(chunk, size);
    this.#bytes += size;
    const text = this.#rest + (typeof chunk === "string" ? chunk : this.#decoder.write(chunk));
    const lines = text.split(/\r?\n/);
    this.#rest = lines.pop()!;
    for (const line of lines) this.#emit(line);
    while (this.#rest.length > MAX_LINE_LENGTH) {
      this.#emit(this.#rest.slice(0, MAX_LINE_LENGTH));
      this.#rest = this.#rest.slice(MAX_LINE_LENGTH);
    }
  }

  /** A last line without an end, and how much was dropped. */
  end(): void {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = "";
    if (rest !== "") this.#emit(rest);
    if (this.#droppedBytes > 0) this.#options.dropped(this.#droppedLines, this.#droppedBytes);
  }

  get #isFull(): boolean {
    return this.#lines >= this.#options.maxLines || this.#bytes >= this.#options.maxBytes;
  }

  #emit(line: string): void {
    if (this.#lines >= this.#options.maxLines) {
      this.#droppedLines++;
      this.#droppedBytes += Buffer.byteLength(line) + 1;
      return;
    }
    this.#lines++;
    this.#options.line(line);
  }

  #drop(chunk: string | Uint8Array, size: number): void {
    this.#droppedBytes += size;
    const end = typeof chunk === "string" ? "\n" : 10;
    for (let at = chunk.indexOf(end as never); at >= 0; at = chunk.indexOf(end as never, at + 1)) this.#droppedLines++;
  }
}
