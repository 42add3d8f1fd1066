export { main } from "./main.js";
export type { CliIo, InterruptSignal, TextSink } from "./io.js";
