import { buildError, type ErrorParts } from "./error-record.js";

/** The types devalue does not know, under the names they have in stored text. Names are never changed or reused. */
type StoredType = "Error" | "Buffer" | "Entries";

/** An object whose own keys include `__proto__`, which devalue refuses and assigning would take for the prototype. */
interface Entries {
  readonly nullPrototype: boolean;
  readonly entries: readonly (readonly [key: string, value: unknown])[];
}

/**
 * Stands for a value of a type devalue does not know on its way into the text. As only this module's functions make
 * one, no data can be mistaken for it.
 */
class StoredAs {
  readonly type: StoredType;
  readonly payload: object;

  constructor(type: StoredType, payload: object) {
    this.type = type;
    this.payload = payload;
  }
}

export const storedError = (parts: ErrorParts) => new StoredAs("Error", parts);
export const storedBuffer = (bytes: Uint8Array) => new StoredAs("Buffer", bytes);
export const storedEntries = (entries: Entries) => new StoredAs("Entries", entries);

const payloadOf = (type: StoredType) => (value: unknown) =>
  value instanceof StoredAs && value.type === type ? value.payload : undefined;

/** For devalue's `stringify()`. */
export const REDUCERS: Record<StoredType, (value: unknown) => unknown> = {
  Error: payloadOf("Error"),
  Buffer: payloadOf("Buffer"),
  Entries: payloadOf("Entries"),
};

/** For devalue's `parse()`. They make data only: nothing here looks up a class or runs what was stored. */
export const REVIVERS = {
  Error: buildError,
  Buffer: (bytes: Uint8Array) => Buffer.from(bytes.buffer),
  Entries: ({ nullPrototype, entries }: Entries) => {
    const object: object = nullPrototype ? Object.create(null) : {};
    for (const [key, value] of entries) {
      Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
    }
    return object;
  },
};
