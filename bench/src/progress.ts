/** Says on standard error, with the time since the program began, what is being done. */
export function progress(line: string): void {
  const seconds = Math.floor(performance.now() / 1_000);
  process.stderr.write(`${String(seconds).padStart(5)} s  ${line}\n`);
}
