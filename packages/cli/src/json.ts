import type { ErrorRecord } from "weftline";

/**
 * One line of JSON for programs. What JSON lacks becomes what is nearest to it: big numbers and errors text, sets and
 * maps lists, bytes base64. Control characters that JSON would let through are escaped.
 */
export function jsonLine(value: unknown): string {
  const json = JSON.stringify(value, (_key, member: unknown) => convert(member));
  return `${json.replace(/[\u007f-\u009f]/g, (control) => `\\u00${control.charCodeAt(0).toString(16)}`)}\n`;
}

/** An error without its stacks. */
export function withoutStack(error: ErrorRecord): ErrorRecord {
  const { stack: _, cause, errors, ...rest } = error;
  return { ...rest, ...(cause && { cause: withoutStack(cause) }), ...(errors && { errors: errors.map(withoutStack) }) };
}

function convert(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Map || value instanceof Set) return [...value];
  if (value instanceof RegExp) return String(value);
  if (value instanceof Error) return { name: value.name, message: value.message };
  if (ArrayBuffer.isView(value)) return convertBytes(value);
  return isSerializedBuffer(value) ? Buffer.from(value.data).toString("base64") : value;
}

function convertBytes(view: ArrayBufferView): unknown {
  if (view instanceof Uint8Array || view instanceof DataView) {
    return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("base64");
  }
  return [...(view as unknown as Iterable<unknown>)];
}

/** A `Buffer` comes here after its own `toJSON`. */
function isSerializedBuffer(value: object): value is { data: number[] } {
  return "type" in value && value.type === "Buffer" && "data" in value && Array.isArray(value.data);
}
