export { childProcesses } from "./child-processes.js";
export type { ChildProcessesOptions } from "./options.js";
