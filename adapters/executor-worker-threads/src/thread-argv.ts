/** The host's own program: a thread that got it would run that instead of its file, or refuse to. */
const OWN_PROGRAM = /^(--eval|-e$|--print|-p$|-pe$|--input-type|--check|-c$|--interactive|-i$|--test|--watch|--run$)/;
/** What says how modules are loaded. */
const LOADING =
  /^(--import|--require|-r|--loader|--experimental-loader|--conditions|-C|--enable-source-maps|--no-warnings|--preserve-symlinks)(=|$)/;
const WITH_VALUE = /^(--import|--require|-r|--loader|--experimental-loader|--conditions|-C)$/;

/**
 * Node's options for threads of this process. As a rule a thread inherits them all by itself; it takes no list that holds
 * one that is the process's alone, so of a process that runs a text only what concerns modules goes on the list.
 *
 * @returns `undefined`: all of them.
 */
export function threadArgv(execArgv: readonly string[]): readonly string[] | undefined {
  if (!execArgv.some((argument) => OWN_PROGRAM.test(argument))) return undefined;
  const kept: string[] = [];
  for (let at = 0; at < execArgv.length; at++) {
    const argument = execArgv[at]!;
    if (!LOADING.test(argument)) continue;
    kept.push(argument);
    if (WITH_VALUE.test(argument) && execArgv[at + 1] !== undefined) kept.push(execArgv[++at]!);
  }
  return kept;
}
