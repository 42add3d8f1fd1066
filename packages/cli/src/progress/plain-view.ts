import { type NamedEvent, type TaskEvent, taskName } from "weftline";
import { describeBriefly } from "../errors.js";
import type { TextSink } from "../io.js";
import { duration, padEnd, plainLine, widest } from "../text.js";
import { countFinished, type Items } from "./instance.js";
import type { ProgressModel } from "./progress-model.js";
import type { RunView } from "./run-view.js";
import { describeWait, STATUS_STYLES } from "./status-style.js";

/** Of longer maps, the items that go well are counted in tenths instead of named one by one. */
const MAX_ITEMS_NAMED = 50;
const MAX_NAME_WIDTH = 32;
/** For the index of an item, as in `train[17]`. */
const INDEX_WIDTH = 4;

/** One line for each change, without colours or escapes: for logs, files and pipes. */
export function plainView(model: ProgressModel, out: TextSink): RunView {
  const nameWidth = Math.min(MAX_NAME_WIDTH, widest(namesOf(model)));
  let isPaused = false;
  return {
    show(event) {
      const line = describeEvent(event, model, nameWidth);
      if (line !== undefined) out.write(`${line}\n`);
      // That a run only waits is what its tasks say already.
      if (event.name !== "run:status" || (event.status === "paused") === isPaused) return;
      isPaused = !isPaused;
      const what = isPaused
        ? `${STATUS_STYLES.paused.symbol} the run is paused`
        : `${STATUS_STYLES.running.symbol} the run goes on`;
      out.write(`${elapsedAt(event.at, model)}  ${what}\n`);
    },
    note: (text) => void out.write(`${text}\n`),
    close() {},
  };
}

function namesOf({ pipeline: { plan } }: ProgressModel): string[] {
  return plan.tasks.map(({ id, position, isMapped }) => {
    const indexes = plan.depth[position]! + (isMapped ? 1 : 0);
    return id + " ".repeat(Math.max(1, indexes) * INDEX_WIDTH);
  });
}

/** @returns `undefined` when the event is not worth a line. */
function describeEvent(event: NamedEvent, model: ProgressModel, nameWidth: number): string | undefined {
  if (!("task" in event)) return undefined;
  const change = describeChange(event, model);
  if (change === undefined) return undefined;
  return `${elapsedAt(event.at, model)}  ${padEnd(taskName(event.task, event.index), nameWidth)}  ${change}`;
}

function elapsedAt(at: number, { startedAt = at }: ProgressModel): string {
  return `${((at - startedAt) / 1_000).toFixed(2)}s`.padStart(8);
}

function describeChange(event: Extract<NamedEvent, TaskEvent>, model: ProgressModel): string | undefined {
  const attempt = event.attempt > 1 ? `attempt ${event.attempt}` : undefined;
  switch (event.name) {
    case "task:started":
      return isInLongList(event, model) && !attempt ? undefined : sentence("running", "started", attempt);
    case "task:expanded":
      return sentence("running", "started", `${event.items} items`);
    case "task:waiting":
      return isInLongList(event, model) ? undefined : sentence("waiting", describeWait(event.wait, event.task));
    case "task:retrying": {
      const next = `attempt ${event.attempt + 1} in ${duration(event.retryAt - event.at)}`;
      return sentence("retrying", "retrying", next, describeBriefly(event.error));
    }
    case "task:finished": {
      if (event.status === "succeeded" && event.warning === undefined && isInLongList(event, model)) {
        return describeTenth(model.listOf(event.task, event.index)?.items);
      }
      const ran = event.attempt > 0 || event.durationMs > 0 ? duration(event.durationMs) : undefined;
      const cached = event.cachedFrom === undefined ? undefined : "from cache";
      const warning = event.warning === undefined ? undefined : `warning: ${event.warning}`;
      return sentence(event.status, event.status, ran, attempt, cached, warning, whyFinished(event));
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

/** Whether it is an item, or stands in one, of a list with too many of them to name each. */
function isInLongList({ task, index }: TaskEvent, model: ProgressModel): boolean {
  return model.listsAround(task, index).some(({ items }) => (items?.total ?? 0) > MAX_ITEMS_NAMED);
}

/** `20/100 items`, when the last item completed another tenth of its list. */
function describeTenth(items: Items | undefined): string | undefined {
  if (items?.total === undefined) return undefined;
  const { total } = items;
  const finished = countFinished(items);
  const isStep = Math.floor((finished * 10) / total) > Math.floor(((finished - 1) * 10) / total);
  return isStep ? `${STATUS_STYLES.running.symbol} ${finished}/${total} items` : undefined;
}
