import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";

type Kind = "text" | "texts" | "whole" | "moment" | "places" | "flag";

/** What the filters of all listings are, by name. */
const FILTERS: Readonly<Record<string, Kind>> = {
  pipeline: "text",
  key: "text",
  tag: "text",
  parent: "text",
  owner: "text",
  definition: "text",
  task: "text",
  name: "text",
  asset: "text",
  status: "texts",
  level: "texts",
  index: "places",
  generation: "whole",
  attempt: "whole",
  since: "moment",
  until: "moment",
};

const REMEDIES: Readonly<Record<Kind, string>> = {
  text: "Give a text.",
  texts: "Give a list of texts.",
  whole: "Give a whole number from 1.",
  moment: "Give epoch milliseconds.",
  places: "Give a list of whole numbers from 0, such as [3].",
  flag: "Give true or false.",
};

/** The filters of a listing. @throws {WeftlineError} `QUERY_INVALID`. */
export function checkedQuery<Query extends object>(query: Query): Query {
  if (!isPlain(query)) throw refuse("the query", query, "Give an object of filters.");
  for (const name of Object.keys(query)) {
    const kind = Object.hasOwn(FILTERS, name) ? FILTERS[name]! : undefined;
    const value: unknown = query[name as keyof Query];
    if (kind === undefined) throw refuse("the filter", name, `There are ${Object.keys(FILTERS).join(", ")}.`);
    if (value !== undefined) checkValue(name, value, kind);
  }
  return query;
}

/** The options of a call, those of `kinds` checked. @throws {WeftlineError} `QUERY_INVALID`. */
export function checkedOptions<Options extends object>(
  options: Options,
  kinds: Readonly<Record<string, Kind>> = {},
): Options {
  if (!isPlain(options)) throw refuse("the options", options, "Give an object, or leave them out.");
  for (const name of Object.keys(kinds)) {
    const value: unknown = options[name as keyof Options];
    if (value !== undefined) checkValue(name, value, kinds[name]!);
  }
  return options;
}

/** @throws {WeftlineError} `QUERY_INVALID`. */
export function checkValue(name: string, value: unknown, kind: Kind): void {
  if (!IS[kind](value)) throw refuse(name, value, REMEDIES[kind]);
}

const MAX_LIST = 100;
const isText = (value: unknown): boolean => typeof value === "string";

const IS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: isText,
  texts: (value) => isShort(value) && value.every(isText),
  whole: (value) => Number.isSafeInteger(value) && (value as number) > 0,
  moment: (value) => Number.isFinite(value),
  places: (value) => isShort(value) && value.every((place) => typeof place === "number"),
  flag: (value) => typeof value === "boolean",
};

/** Holes of a list are no values, and going through a list of billions of them would take minutes. */
function isShort(value: unknown): value is readonly unknown[] {
  return Array.isArray(value) && value.length <= MAX_LIST && !value.includes(undefined);
}

function isPlain(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuse(what: string, value: unknown, remedy: string): WeftlineError {
  return new WeftlineError("QUERY_INVALID", `Cannot use ${show(value)} as ${what}. ${remedy}`);
}
