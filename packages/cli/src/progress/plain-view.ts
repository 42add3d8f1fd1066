import { type NamedEvent, type TaskEvent, taskName } from "weftline";
import { describeBriefly } from "../errors.js";
import type { TextSink } from "../io.js";
import { duration, padEnd, plainLine, widest } from "../text.js";
import { countFinished, type Items, type ProgressModel } from "./progress-model.js";
import type { RunView } from "./run-view.js";
import { STATUS_STYLES } from "./status-style.js";

/** Of longer maps, the items that go well are counted in tenths instead of named one by one. */
const MAX_ITEMS_NAMED = 50;
const MAX_NAME_WIDTH = 32;
/** For the index of an item, as in `train[17]`. */
const INDEX_WIDTH = 4;

/** One line for each change, without colours or escapes: for logs, files and pipes. */
export function plainView(model: ProgressModel, out: TextSink): RunView {
  const nameWidth = Math.min(MAX_NAME_WIDTH, widest(model.tasks.map(({ task }) => task.id)) + INDEX_WIDTH);
  return {
    show(event) {
      const line = describeEvent(event, model, nameWidth);
      if (line !== undefined) out.write(`${line}\n`);
    },
    note: (text) => void out.write(`${text}\n`),
    close() {},
  };
}

/** @returns `undefined` when the event is not worth a line. */
function describeEvent(event: NamedEvent, model: ProgressModel, nameWidth: number): string | undefined {
  if (!("task" in event)) return undefined;
  const change = describeChange(event, model);
  if (change === undefined) return undefined;
  const elapsed = `${((event.at - (model.startedAt ?? event.at)) / 1_000).toFixed(2)}s`;
  return `${elapsed.padStart(8)}  ${padEnd(taskName(event.task, event.index), nameWidth)}  ${change}`;
}

function describeChange(event: Extract<NamedEvent, TaskEvent>, model: ProgressModel): string | undefined {
  const attempt = event.attempt > 1 ? `attempt ${event.attempt}` : undefined;
  switch (event.name) {
    case "task:started":
      return itemsOfLongMap(event, model) && !attempt ? undefined : sentence("running", "started", attempt);
    case "task:expanded":
      return sentence("running", "started", `${event.items} items`);
    case "task:retrying": {
      const next = `attempt ${event.attempt + 1} in ${duration(event.retryAt - event.at)}`;
      return sentence("retrying", "retrying", next, describeBriefly(event.error));
    }
    case "task:finished": {
      const items = itemsOfLongMap(event, model);
      if (items && event.status === "succeeded") return describeTenth(items);
      const ran = event.attempt > 0 || event.durationMs > 0 ? duration(event.durationMs) : undefined;
      return sentence(event.status, event.status, ran, attempt, whyFinished(event));
    }
    case "task:log": {
      const level = event.level === "info" ? "" : `${event.level}: `;
      return event.level === "debug" ? undefined : `| ${level}${plainLine(event.message)}`;
    }
    case "task:late":
      return sentence("cancelled", "ended late", "what it returned was dropped");
    default:
      return undefined;
  }
}

function whyFinished({ status, error, reason }: Extract<NamedEvent, { name: "task:finished" }>): string | undefined {
  // What cancels a task cancels the others too, and is told once, with the run.
  if (status === "cancelled") return undefined;
  return error ? describeBriefly(error) : reason;
}

function sentence(status: keyof typeof STATUS_STYLES, verb: string, ...details: (string | undefined)[]): string {
  const said = details.filter((detail) => detail !== undefined).map(plainLine);
  return `${STATUS_STYLES[status].symbol} ${[verb, ...said].join(", ")}`;
}

/** The items of the map that an event's item belongs to, when they are too many to be named. */
function itemsOfLongMap({ task, index }: TaskEvent, model: ProgressModel): Items | undefined {
  const items = index.length > 0 ? model.task(task)?.items : undefined;
  return (items?.total ?? 0) > MAX_ITEMS_NAMED ? items : undefined;
}

/** `20/100 items`, when the last item completed another tenth of its map. */
function describeTenth(items: Items): string | undefined {
  const finished = countFinished(items);
  const total = items.total!;
  const isStep = Math.floor((finished * 10) / total) > Math.floor(((finished - 1) * 10) / total);
  return isStep ? `${STATUS_STYLES.running.symbol} ${finished}/${total} items` : undefined;
}
