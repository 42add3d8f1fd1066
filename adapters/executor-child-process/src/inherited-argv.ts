/** What is about the host's own program and terminal, or would be taken twice, such as a debugger's port. */
const NOT_INHERITED =
  /^(--inspect|--debug-port|--eval|-e$|--print|-p$|-pe$|--check|-c$|--interactive|-i$|--test|--watch|--input-type|--cpu-prof|--heap-prof|--prof|--env-file|--experimental-test|--build-snapshot|--run$)/;
/** Of those above, the ones whose value may be an argument of its own. */
const WITH_VALUE =
  /^(--eval|-e|--print|-p|-pe|--input-type|--debug-port|--inspect-port|--env-file|--watch-path|--test-reporter|--test-name-pattern|--run)$/;

/** Node's options for a child of this process: loaders and flags of the language stay, debuggers and scripts do not. */
export function inheritedArgv(execArgv: readonly string[]): readonly string[] {
  const inherited: string[] = [];
  for (let at = 0; at < execArgv.length; at++) {
    const argument = execArgv[at]!;
    if (!NOT_INHERITED.test(argument)) inherited.push(argument);
    else if (WITH_VALUE.test(argument)) at++;
  }
  return inherited;
}
