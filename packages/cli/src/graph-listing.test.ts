import { expect, it } from "vitest";
import { pipeline } from "weftline";
import { listGraph } from "./graph-listing.js";

it("listGraph() shows steps, edges, kinds, rules and options", () => {
  const nightly = pipeline(
    "nightly",
    {
      title: "Nightly \x1b[31mforecast",
      description: "Trains\nand deploys.",
      defaults: { retry: { attempts: 3, delay: "500ms" }, timeout: "2m" },
    },
    (p) => {
      const fetch = p.task("fetch", () => [1]);
      const old = p.task("old", { retry: { attempts: 1 }, timeout: { attempt: "90s", total: "1h" } }, () => 1);
      const train = p.map("train", { over: fetch, executor: "cpu", concurrency: 4 }, ({ item }) => item);
      const fixed = p.map("fixed", { over: [1, 2, 3], needs: { old } }, ({ item }) => item);
      const both = p.map("both", { over: train, needs: { old }, when: () => true }, ({ item }) => item);
      const gate = p.branch("gate", { needs: { train } }, (): "deploy" | "keep" => "deploy");
      const deploy = p.task("deploy", { needs: { train }, after: [gate.when("deploy")] }, () => 1);
      const keep = p.task("keep", { after: [gate.when("keep")], allowFailure: true }, () => 1);
      p.task("report", { needs: { deploy }, after: [keep, fixed, both], triggerRule: "none-failed" }, () => 1);
    },
  );
  expect(`\n${listGraph(nightly)}`).toMatchInlineSnapshot(`
    "
    nightly: 9 tasks in 5 steps, 12 edges
    Nightly forecast
    Trains and deploys.
    Unless said otherwise: 3 attempts (500ms apart, exponential to 10m, jitter); timeout 2m

    1  fetch
       old     1 attempt; timeout 90s, 1h in all
    2  train   ← fetch; map; 4 at once; executor cpu
       fixed   ← old; map over 3 items
    3  both    ← old, train; map over train; conditional
       gate    ← train; branch deploy | keep
    4  deploy  ← train, gate = deploy
       keep    ← gate = keep; may fail
    5  report  ← deploy, (keep), (fixed), (both); rule none-failed
    "
  `);
});

it("listGraph() of a single task", () => {
  const one = pipeline("one", (p) => {
    p.task("only", { retry: { attempts: 2, delay: "1s", backoff: "fixed" }, executor: "cpu" }, () => 1);
  });
  expect(`\n${listGraph(one)}`).toMatchInlineSnapshot(`
    "
    one: 1 task in 1 step, 0 edges

    1  only  2 attempts (1s apart); executor cpu
    "
  `);
});

it("listGraph() of groups and of tasks that wait", () => {
  const child = pipeline("child", (p) => {
    p.task("x", () => 1);
  });
  const all = pipeline("all", (p) => {
    const shops = p.task("shops", { produces: "shops", pool: "db", slots: 2 }, () => ["a"]);
    const shop = p.group(
      "shop",
      { over: shops, concurrency: 2, retry: { attempts: 2, delay: "1s", backoff: "fixed" } },
      (g) => {
        const load = g.task("load", { cache: { key: () => 1, ttl: "1d" } }, () => 1);
        g.group("fit", (h) => {
          const a = h.task("a", { needs: { load } }, () => 1);
          h.task("b", { needs: { a }, rateLimit: { limit: 3, per: "1m" } }, () => 1);
        });
        return { load };
      },
    );
    const answer = p.signal("approve", { key: () => "k", after: [shop] });
    p.sleep("rest", "90s");
    p.sleepUntil("dawn", { at: () => 1 });
    p.poll("file", { every: "10s", after: [answer] }, () => true);
    p.run("child", child, { after: [shop] });
    p.check("enough", { needs: { shops }, severity: "warning", expect: { "output.passed": { min: 0 } } }, () => true);
    p.task("clean", { needs: { shops }, after: [shop], teardown: { failRun: true } }, () => 1);
  });
  expect(`\n${listGraph(all)}`).toMatchInlineSnapshot(`
    "
    all: 11 tasks and 2 groups in 4 steps, 9 edges

    1      shops           pool db (2 slots); produces shops
           rest            sleeps 90s
           dawn            sleeps until a moment
    2      shop            ← shops; group for each item; 2 at once; 2 attempts (1s apart)
    2.1      shop.load     cached for 1d
    2.2      shop.fit      group
    2.2.1      shop.fit.a  ← shop.load
    2.2.2      shop.fit.b  ← shop.fit.a; 3 starts in 1m
           enough          ← shops; check that only warns; expects output.passed
    3      approve         ← (shop); waits for a signal to it or its key
           child           ← (shop); runs pipeline child
           clean           ← shops, (shop); teardown that may fail the run
    4      file            ← (approve); looks every 10s
    "
  `);
});
