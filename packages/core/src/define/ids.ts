import { WeftlineError } from "../errors.js";
import { show } from "./show.js";

const ID_RULE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/;

/** @throws {WeftlineError} `code`, when the id is not 1 to 200 of the characters that are safe in URLs, files and SQL. */
export function checkId(id: unknown, code: "PIPELINE_INVALID" | "TASK_INVALID", what: string): asserts id is string {
  if (typeof id === "string" && ID_RULE.test(id)) return;
  throw new WeftlineError(
    code,
    `Cannot use ${show(id)} as ${what}. Use 1 to 200 letters, digits, "_", "-" or ".", beginning with a letter, a digit or "_".`,
  );
}
