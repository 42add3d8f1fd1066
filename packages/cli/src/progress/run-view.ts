import type { NamedEvent } from "weftline";
import type { TextSink } from "../io.js";

/** What a person or a program sees of a run while it goes on. */
export interface RunView {
  /** Something happened; the progress model knows already. */
  show(event: NamedEvent): void;
  /** Says something that is no event of the run. */
  note(text: string): void;
  /** The run is over: nothing moves from here on. */
  close(): void;
}

/** Shows nothing of the run. */
export function silentView(err: TextSink): RunView {
  return {
    show() {},
    note: (text) => void err.write(`${text}\n`),
    close() {},
  };
}
