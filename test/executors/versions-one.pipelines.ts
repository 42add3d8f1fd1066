import { pipeline } from "weftline";

export const nightly = pipeline("nightly", (p) => {
  const fetch = p.task("fetch", ({ log }) => {
    log("fetched by version one");
    return [1n];
  });
  p.task("load", { needs: { fetch } }, () => {
    throw new Error("no room in version one");
  });
});
