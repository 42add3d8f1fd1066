/** Nothing gets where it does not belong: invariants 37 to 40. */
import { generationOf } from "./executions.js";
import type { Flushed, FlushedRun, HistoryEvent } from "./history.js";
import type { Report } from "./report.js";
import { keyOf, type RunModel } from "./run-model.js";
import type { World } from "./world.js";

export function checkIsolation(world: World, report: Report): void {
  checkTokens(world, report);
  checkBlame(world, report);
  checkSecrets(world, report);
  checkDefinitions(world, report);
}

// ---- 37

function checkTokens(world: World, report: Report): void {
  const tokens = world.evidence.facts?.tokens;
  const owners = new Map(Object.entries(tokens ?? {}).map(([runId, token]) => [token, runId]));
  if (owners.size < 2) return report.cannot([37], "no two runs have tokens of their own");
  const pattern = new RegExp([...owners.keys()].map(escaped).join("|"), "g");
  for (const event of world.evidence.history) {
    if (event.type === "created") checkText(event.runId, event.params, event);
    if (event.type !== "flushed" || event.outcome !== "ok") continue;
    for (const part of event.runs)
      if (!part.fenced) for (const text of textsOf(part)) checkText(part.runId, text, event);
  }

  function checkText(runId: string, text: string, event: HistoryEvent): void {
    report.checked(37);
    for (const [token] of text.matchAll(pattern)) {
      const owner = owners.get(token);
      if (owner === runId || isRelated(world, runId, owner!)) continue;
      report.violated(37, runId, `"${token}" belongs to run ${owner}`, event);
    }
  }
}

/** A sub-pipeline's run is given what its parent has, and gives back what it makes of that. */
function isRelated(world: World, one: string, other: string): boolean {
  return rootOf(world, one) === rootOf(world, other);
}

function rootOf(world: World, runId: string): string {
  const parent = world.runs.get(runId)?.created?.parent?.runId;
  return parent === undefined ? runId : rootOf(world, parent);
}

function* textsOf({ tasks, attempts, run }: FlushedRun): Iterable<string> {
  for (const { output, list, error, reason, warning } of tasks) {
    yield* [output, list, error && JSON.stringify(error), reason, warning].filter((text) => text !== undefined);
  }
  for (const { error } of attempts) if (error) yield JSON.stringify(error);
  if (run?.error) yield JSON.stringify(run.error);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

// ---- 38

/** What an attempt failed with is what its own function threw. */
function checkBlame(world: World, report: Report): void {
  const thrown = world.evidence.witness.filter(({ phase, errorToken }) => phase === "end" && errorToken !== undefined);
  if (thrown.length === 0) return report.cannot([38], "no witness tells what was thrown");
  const owners = new Map(thrown.map((line) => [line.errorToken!, line]));
  const pattern = new RegExp([...owners.keys()].map(escaped).join("|"), "g");
  for (const run of world.runs.values()) {
    for (const instance of run.instances()) {
      for (const { record, event } of instance.attempts.values()) {
        if (record.error === undefined) continue;
        report.checked(38);
        for (const [token] of `${record.error.message} ${record.error.stack ?? ""}`.matchAll(pattern)) {
          const line = owners.get(token)!;
          const isOwn =
            line.runId === run.id && line.task === record.task && keyOf(line.task, line.index) === instance.key;
          if (!isOwn || (generationOf(line) ?? record.generation) !== record.generation) {
            report.violated(
              38,
              run.id,
              `"${instance.key}" failed with what "${keyOf(line.task, line.index)}" threw`,
              line,
              event,
            );
          }
        }
      }
    }
  }
}

// ---- 39

function checkSecrets(world: World, report: Report): void {
  const { secrets = [], texts = [] } = world.evidence.facts ?? {};
  if (secrets.length === 0) return report.cannot([39], "no secret was registered");
  const forms = secrets.flatMap((secret) => encodingsOf(secret));
  const look = (text: string, where: string, runId: string | undefined, event?: HistoryEvent): void => {
    report.checked(39);
    const found = forms.find(({ form }) => text.includes(form));
    if (found) report.violated(39, runId, `a secret occurs in ${where}, ${found.how}`, event);
  };
  for (const { where, text } of texts) look(text, where, undefined);
  for (const event of world.evidence.history) {
    if (event.type === "created") look(event.params, "the params of the run", event.runId, event);
    if (event.type === "flushed") lookIn(event, look);
  }
  for (const { run, tasks } of world.evidence.final?.runs ?? [])
    look(JSON.stringify([run, tasks]), "what is stored", run.id);
}

function lookIn(event: Flushed, look: (text: string, where: string, runId: string, event: HistoryEvent) => void): void {
  for (const part of event.runs) for (const text of textsOf(part)) look(text, "a record", part.runId, event);
}

interface SecretForm {
  readonly form: string;
  readonly how: string;
}

/** A text inside a longer one encodes to base64 in three ways, of which the ends depend on what stands around it. */
function encodingsOf(secret: string): SecretForm[] {
  const bytes = new TextEncoder().encode(secret);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const forms = [
    { form: secret, how: "as it is" },
    { form: JSON.stringify(secret).slice(1, -1), how: "as JSON" },
    { form: encodeURIComponent(secret), how: "as part of a URL" },
    { form: hex, how: "as hex" },
    { form: hex.toUpperCase(), how: "as hex" },
  ];
  for (let before = 0; before < 3; before++) {
    const shifted = btoa(" ".repeat(before) + String.fromCharCode(...bytes));
    const from = before === 0 ? 0 : before + 1;
    const whole = Math.floor(((before + bytes.length) * 8) / 6);
    const form = shifted.slice(from, whole);
    if (form.length >= 4) forms.push({ form, how: "as base64" });
    if (/[+/]/.test(form)) forms.push({ form: form.replaceAll("+", "-").replaceAll("/", "_"), how: "as base64url" });
  }
  return forms;
}

// ---- 40

/** A run keeps the definition that it was made with, until somebody moves it to another. */
function checkDefinitions(world: World, report: Report): void {
  for (const run of world.runs.values()) {
    if (run.created === undefined) continue;
    for (const instance of run.current.values())
      checkPlace(run, instance.position, instance.task, instance.event, report);
    const final = world.evidence.final?.runs.find(({ run: record }) => record.id === run.id);
    if (final === undefined) continue;
    report.checked(40);
    if (final.run.definition !== run.definition) {
      report.violated(
        40,
        run.id,
        `the run has definition ${final.run.definition}, and was made with ${run.definition}`,
        run.created,
      );
    }
  }
}

function checkPlace(
  run: RunModel,
  position: number,
  task: string,
  event: HistoryEvent | undefined,
  report: Report,
): void {
  if (run.shape === undefined) return;
  report.checked(40);
  const id = run.shape.tasks[position]?.id;
  if (id === task) return;
  report.violated(
    40,
    run.id,
    `"${task}" stands at place ${position}, where its definition has ${id ?? "nothing"}`,
    event,
  );
}
