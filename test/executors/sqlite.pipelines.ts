/** Of each theme what reaches storage in a way of its own. */
export { failing, flaky, odd, skipping, stepping } from "./attempts.pipelines.js";
export { caching, emptyMap, mapping, nested, parent, regrouping, wide } from "./shapes.pipelines.js";
export { around, facts, made, speaking } from "./values.pipelines.js";
export { approving, sleeping } from "./waits.pipelines.js";
