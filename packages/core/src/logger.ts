/** Where the engine reports what no caller asked about. pino fits as it is. */
export interface Logger {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Warnings and errors to standard error; the rest nowhere. */
export const consoleLogger: Logger = {
  debug() {},
  info() {},
  warn: (details, message) => console.warn(`weftline: ${message}`, details),
  error: (details, message) => console.error(`weftline: ${message}`, details),
};

/** A logger whose own faults stop at it: logging never changes what happens. */
export function guardLogger(logger: Logger): Logger {
  const guarded = (level: keyof Logger) => (details: object, message: string) => {
    try {
      const returned: unknown = logger[level](details, message);
      if (returned instanceof Promise) returned.catch(() => undefined);
    } catch {
      // There is no better place left to report it.
    }
  };
  return { debug: guarded("debug"), info: guarded("info"), warn: guarded("warn"), error: guarded("error") };
}
