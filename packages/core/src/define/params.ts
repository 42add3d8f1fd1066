import type { StandardSchemaV1 } from "@standard-schema/spec";
import { WeftlineError } from "../errors.js";
import { asText } from "../execute/as-text.js";
import { boundText } from "../values/text.js";
import type { Pipeline } from "./pipeline.js";

const MAX_ISSUES_SHOWN = 10;
/** Schemas quote what they refuse. */
const MAX_ISSUE = 1_000;

/**
 * Validates params with the pipeline's schema, before a run exists.
 *
 * @returns What the schema made of them: defaults filled in, values converted.
 * @throws {WeftlineError} `PARAMS_INVALID`, naming every wrong field.
 */
export async function validateParams(pipeline: Pick<Pipeline, "id" | "settings">, params: unknown): Promise<unknown> {
  const { schema } = pipeline.settings;
  if (schema === undefined) {
    if (params === undefined || isEmptyObject(params)) return {};
    throw refuse(
      pipeline.id,
      ["it takes no params"],
      "Give the pipeline a schema in its `params` option, or call it without params.",
    );
  }
  let result: StandardSchemaV1.Result<unknown>;
  try {
    result = await schema["~standard"].validate(params === undefined ? {} : params);
  } catch (cause) {
    throw refuse(
      pipeline.id,
      [`the schema threw: ${boundText(cause instanceof Error ? asText(cause.message) : asText(cause), MAX_ISSUE)}`],
      "Correct the schema.",
      cause,
    );
  }
  if (typeof result !== "object" || result === null) {
    throw refuse(pipeline.id, ["the schema gave no answer"], "Correct the schema.");
  }
  if (result.issues === undefined) return result.value;
  const issues: readonly StandardSchemaV1.Issue[] = Array.isArray(result.issues) ? result.issues : [];
  throw refuse(pipeline.id, issues.map(describeIssue), "Correct these params and call again.");
}

function refuse(id: string, problems: readonly string[], remedy: string, cause?: unknown): WeftlineError {
  const shown = problems.slice(0, MAX_ISSUES_SHOWN);
  if (problems.length > shown.length) shown.push(`and ${problems.length - shown.length} more`);
  return new WeftlineError(
    "PARAMS_INVALID",
    `Cannot start pipeline "${id}" with these params: ${shown.join("; ")}. ${remedy}`,
    { cause },
  );
}

/** For people, whatever the schema made of it. Path elements are keys in zod and arktype, objects with a key in valibot. */
export function describeIssue(issue: StandardSchemaV1.Issue): string {
  const parts = Array.isArray(issue?.path) ? issue.path : [];
  const path = parts.map((part) => asText(typeof part === "object" && part !== null ? part.key : part)).join(".");
  const message = boundText(asText(issue?.message), MAX_ISSUE);
  return path === "" ? message : `${boundText(path, MAX_ISSUE)}: ${message}`;
}

function isEmptyObject(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Object.keys(value).length > 0) return false;
  const prototype: unknown = Object.getPrototypeOf(value); // a Map with entries has no keys
  return prototype === Object.prototype || prototype === null;
}
