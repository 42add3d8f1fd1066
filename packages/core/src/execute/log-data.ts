import { type Encoded, encode, type ValueLimits } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";

/** Logging never fails a task: data that cannot be kept is replaced by the reason. */
export function logData(data: unknown, limits: ValueLimits): Encoded | undefined {
  if (data === undefined) return undefined;
  try {
    return encode(data, "output", limits);
  } catch (error) {
    return encode({ notKept: toErrorRecord(error).message }, "output");
  }
}
