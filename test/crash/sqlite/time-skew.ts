import type { HostOptions } from "./host-options.js";

// To be imported before the packages, which keep the `Date.now` that they find: this process lives that much later, so
// that nobody has to wait until the lease of the one before it has run out.
const { skewMs } = JSON.parse(process.argv[2]!) as HostOptions;
const { now } = Date;
Date.now = () => now() + skewMs;
