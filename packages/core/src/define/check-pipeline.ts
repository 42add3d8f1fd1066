import { show } from "./show.js";

/**
 * For functions that read a pipeline. By what it has, not by its class: another copy of this library may have made it.
 *
 * @throws {TypeError} For anything else, naming where it was given.
 */
export function checkPipeline(value: unknown, where: string): void {
  const { plan } = Object(value) as { readonly plan?: { readonly tasks?: unknown } };
  if (Array.isArray(plan?.tasks)) return;
  throw new TypeError(`Cannot use the pipeline given to ${where}: it is ${show(value)}, not what pipeline() returned`);
}
