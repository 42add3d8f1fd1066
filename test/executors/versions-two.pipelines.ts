import { pipeline } from "weftline";

/** The same pipeline after a deploy: another task, and one under another id. */
export const nightly = pipeline("nightly", (p) => {
  const check = p.task("check", ({ log }) => log("checked by version two"));
  const get = p.task("get", ({ log }) => {
    log("fetched by version two");
    return [2n];
  });
  const load = p.task("load", { needs: { get }, after: [check] }, ({ input }) => ["loaded", ...input.get]);
  return { load };
});
