import { createLogUpdate } from "log-update";
import type { CliIo } from "../io.js";
import { type Colors, plainLines } from "../text.js";
import type { ProgressModel } from "./progress-model.js";
import type { RunView } from "./run-view.js";
import { renderTree } from "./tree-view.js";

const FRAME_MS = 100;
const HIDE_CURSOR = "\x1b[?25l";
/** Also for whoever ends the process while the view is open. */
export const SHOW_CURSOR = "\x1b[?25h";

/** The tree of tasks, redrawn in place; what else is printed meanwhile moves up above it. */
export function liveView(model: ProgressModel, io: CliIo, colors: Colors): RunView {
  // Its own way to hide the cursor writes to the process's standard error, which may be captured below.
  const update = createLogUpdate(terminalOf(io), { showCursor: true });
  let drawnAt = 0;
  const draw = () => {
    drawnAt = Date.now();
    update(renderTree(model, io, drawnAt, colors).join("\n"));
  };
  // By timer as a rule: events come faster than anybody reads, and clocks move between them.
  const timer = setInterval(draw, FRAME_MS);
  const note = (text: string) => {
    update.clear();
    io.stdout.write(`${text}\n`);
    draw();
  };
  const release = io.captureOutput?.((text) => note(plainLines(text.replace(/\n$/, "")).join("\n")));
  io.stdout.write(HIDE_CURSOR);
  draw();
  return {
    show() {
      // Timers have to wait while task code computes; between two tasks there is time for a frame.
      if (Date.now() - drawnAt >= FRAME_MS) draw();
    },
    note,
    close() {
      clearInterval(timer);
      release?.();
      draw();
      update.done();
      io.stdout.write(SHOW_CURSOR);
    },
  };
}

/** What log-update needs of a stream. */
function terminalOf(io: CliIo): NodeJS.WritableStream {
  const terminal = {
    isTTY: true,
    write: (text: string) => io.stdout.write(text),
    get columns() {
      return io.columns;
    },
    get rows() {
      return io.rows;
    },
  };
  return terminal as unknown as NodeJS.WritableStream;
}
