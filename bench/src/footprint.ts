/** How large the core is, as a part of a bundle and as an installed package. */
import { lstat, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Outcome, run } from "./child.js";
import { progress } from "./progress.js";
import { type Claim, type Group, inKilobytes, inMegabytes, judge, NOT_MEASURED } from "./report.js";

interface Installed {
  readonly bytes: number;
  readonly packages: number;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CORE = join(ROOT, "packages/core");
/** A registry may be slow, but not this slow. */
const INSTALL_LIMIT_MS = 120_000;

const BUNDLE: Claim = { what: "the core's bundle", bound: "at most", limit: 40_000, show: inKilobytes };
const BYTES: Claim = { what: "installed size", bound: "at most", limit: 5_000_000, show: inMegabytes };
const PACKAGES: Claim = { what: "installed packages", bound: "at most", limit: 15, show: String };

export const footprint: Group = {
  name: "footprint",
  title: "Size",
  async measure(effort) {
    progress("footprint: the bundle");
    const bundle = await bundleBytes();
    progress("footprint: packing the core and installing it");
    const installed = await install();
    const claims: [Claim, number | string][] = [
      [BUNDLE, bundle.ok ? bundle.value : bundle.why],
      [BYTES, installed.ok ? installed.value.bytes : installed.why],
      [PACKAGES, installed.ok ? installed.value.packages : installed.why],
    ];
    return {
      tables: [
        {
          title: "The core's size",
          columns: ["", "measured"],
          textColumns: 1,
          rows: [
            [
              "bundled, minified and gzipped, without dependencies",
              bundle.ok ? inKilobytes(bundle.value) : NOT_MEASURED,
            ],
            [
              "`npm i weftline`: size of node_modules",
              installed.ok ? inMegabytes(installed.value.bytes) : NOT_MEASURED,
            ],
            [
              "`npm i weftline`: packages, itself included",
              installed.ok ? String(installed.value.packages) : NOT_MEASURED,
            ],
          ],
        },
      ],
      targets: claims.map(([claim, figure]) => judge(claim, figure, effort)),
      samples: { bundle, installed },
    };
  },
};

/** As the size check of the repository measures it. */
async function bundleBytes(): Promise<Outcome<number>> {
  const outcome = await npm(["exec", "--no", "--", "size-limit", "--json"], ROOT);
  // It fails with a figure when that is over its limit, and without one when it could not measure.
  const output = outcome.ok ? outcome.value : outcome.output;
  if (!output) return { ok: false, why: outcome.ok ? "size-limit said nothing" : outcome.why };
  const [core] = JSON.parse(output) as { size: number }[];
  return core ? { ok: true, value: core.size } : { ok: false, why: "size-limit measured nothing" };
}

/** Installs the packed core into an empty folder, as a user would. */
async function install(): Promise<Outcome<Installed>> {
  const folder = await mkdtemp(join(tmpdir(), "weftline-footprint-"));
  try {
    const packed = await npm(["pack", "--json", "--ignore-scripts", "--pack-destination", folder], CORE);
    if (!packed.ok) return { ok: false, why: `npm pack: ${packed.why}` };
    await writeFile(join(folder, "package.json"), "{}");
    const tarball = (await readdir(folder)).find((file) => file.endsWith(".tgz"))!;
    const done = await npm(["i", `./${tarball}`, "--no-audit", "--no-fund"], folder);
    return done.ok ? { ok: true, value: await installedIn(folder) } : { ok: false, why: `npm i: ${done.why}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function installedIn(folder: string): Promise<Installed> {
  const modules = join(folder, "node_modules");
  const lock = JSON.parse(await readFile(join(modules, ".package-lock.json"), "utf8")) as { packages: object };
  const entries = await readdir(modules, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  const sizes = await Promise.all(files.map(async (file) => (await lstat(join(file.parentPath, file.name))).size));
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), packages: Object.keys(lock.packages).length };
}

/** Runs npm without what an npm around it says about its own folders and workspaces. */
function npm(args: readonly string[], cwd: string): Promise<Outcome<string>> {
  const inherited = /^npm_(?:config_(?:local_prefix|workspaces?)$|package_|lifecycle_)/i;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !inherited.test(name)));
  return run("npm", args, { cwd, env, limitMs: INSTALL_LIMIT_MS });
}
