import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { connectionStringWith, withClient } from "./test-support/database.js";

const folder = new URL("..", import.meta.url);

it("the README's sample runs as pasted, from the built package", async () => {
  const sample = /^```ts\n([\s\S]*?)^```$/m.exec(await readFile(new URL("README.md", folder), "utf8"))![1]!;
  const database = `weftline_readme_${process.pid}`;
  await withClient((client) => client.query(`CREATE DATABASE ${database}`));
  onTestFinished(
    async () => void (await withClient((client) => client.query(`DROP DATABASE ${database} WITH (FORCE)`))),
  );
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", sample], {
    cwd: folder,
    env: { ...process.env, DATABASE_URL: connectionStringWith((url) => (url.pathname = `/${database}`)) },
  });
  expect(stdout).toBe("{ total: 3 }\n[ 'succeeded' ]\n");
}, 30_000);
