/** How large a value may be when it is encoded. */
export interface ValueLimits {
  /** Largest stored form, in UTF-8 bytes. Parts that are referred to twice count twice. */
  readonly maxBytes: number;
  /** Most containers (objects, arrays, maps, sets, errors) inside one another; `{}` alone is one. */
  readonly maxDepth: number;
}

/** 16 MiB and 500 levels: what every adapter stores without trouble and every call stack bears. */
export const DEFAULT_VALUE_LIMITS: ValueLimits = { maxBytes: 16 * 1024 * 1024, maxDepth: 500 };

/** For what is put together from values that have passed the limits one by one. */
export const NO_VALUE_LIMITS: ValueLimits = {
  maxBytes: Number.POSITIVE_INFINITY,
  maxDepth: Number.POSITIVE_INFINITY,
};

/** What a value is to the person who wrote it; decides the code of a refusal. */
export type ValueKind = "output" | "params" | "item";
