import { WeftlineError } from "weftline";

/** By name: a text, or `true` for what this process has. */
export type EnvironmentOption = Readonly<Record<string, string | true | undefined>>;

/** What programs need to work as they do here, and what holds no secrets. */
const HARMLESS: readonly RegExp[] = [
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|TZ|TERM|TMPDIR|TMP|TEMP|PWD)$/,
  /^LC_/,
  /^(NODE_ENV|NODE_EXTRA_CA_CERTS|NODE_NO_WARNINGS|NODE_DISABLE_COLORS|NO_COLOR|FORCE_COLOR|CI)$/,
  /^(SSL_CERT_FILE|SSL_CERT_DIR|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH)$/,
];

/** @throws {WeftlineError} `EXECUTOR_INVALID` for a value that is neither. */
export function environmentOf(option: EnvironmentOption = {}, host: NodeJS.ProcessEnv): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(host)) {
    if (value !== undefined && HARMLESS.some((rule) => rule.test(name))) environment[name] = value;
  }
  for (const [name, value] of Object.entries(option)) {
    if (value !== undefined && value !== true && typeof value !== "string") {
      throw new WeftlineError(
        "EXECUTOR_INVALID",
        `Cannot run tasks in child processes: env.${name} is of type ${typeof value}. Give a text, or true for what this process has.`,
      );
    }
    const given = value === true ? host[name] : value;
    if (given === undefined) delete environment[name];
    else environment[name] = given;
  }
  return environment;
}
