import type { NamedEvent } from "weftline";
import type { TextSink } from "../io.js";
import { jsonLine, withoutStack } from "../json.js";
import type { RunView } from "./run-view.js";

/** Every event as a line of JSON on `out`; what is no event goes to `err`. */
export function jsonView(out: TextSink, err: TextSink, showStack: boolean): RunView {
  return {
    show: (event) => void out.write(jsonLine(toJson(event, showStack))),
    note: (text) => void err.write(`${text}\n`),
    close() {},
  };
}

function toJson({ name, ...facts }: NamedEvent, showStack: boolean): object {
  const error = "error" in facts ? facts.error : undefined;
  return { event: name, ...facts, ...(error && { error: showStack ? error : withoutStack(error) }) };
}
