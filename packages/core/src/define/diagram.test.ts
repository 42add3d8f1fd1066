import { describe, expect, it } from "vitest";
import { toDot, toMermaid } from "./diagram.js";
import { pipeline } from "./pipeline.js";

const forecast = pipeline("demand-forecast", (p) => {
  const sales = p.task("fetch-sales", { title: "Fetch sales" }, () => [1]);
  const models = p.map("train", { over: sales }, () => 1);
  const gate = p.branch("gate", { needs: { models } }, () => "deploy" as "deploy" | "keep");
  p.task("deploy", { needs: { models }, after: [gate.when("deploy")] }, () => 1);
  p.task("either", { after: [gate.when("deploy"), gate.when("keep")] }, () => 1);
  p.task("cleanup", { needs: { gate }, triggerRule: "all-done" }, () => 1);
});

const hostile = pipeline("hostile.pipeline", (p) => {
  const quotes = p.task("quotes", { title: 'say "hi" \\ and `code`' }, () => 1);
  const brackets = p.task("brackets", { after: [quotes], title: "a[b](c){d} -->|x| e; f #35; & <g>" }, () => 1);
  const lines = p.task("lines", { after: [brackets], title: "one\ntwo\r\n\tthree\u2028four" }, () => 1);
  const gate = p.branch("gate", { after: [lines] }, () => 'a"|b' as string);
  p.task("end", { after: [gate.when('a"|b'), gate.when("c]\nd")] }, () => 1);
});

describe("toMermaid()", () => {
  it("draws tasks, maps, branches and choices", () => {
    expect(toMermaid(forecast)).toMatchInlineSnapshot(`
      "flowchart LR
        t0["Fetch sales"]
        t1[["train"]]
        t2{"gate"}
        t3["deploy"]
        t4["either"]
        t5["cleanup (all-done)"]
        t0 --> t1
        t1 --> t2
        t1 --> t3
        t2 -->|"deploy"| t3
        t2 -->|"deploy or keep"| t4
        t2 --> t5
      "
    `);
  });

  it("escapes quotes, brackets and line breaks in titles and choices", () => {
    expect(toMermaid(hostile)).toMatchInlineSnapshot(`
      "flowchart LR
        t0["say #34;hi#34; \\ and #96;code#96;"]
        t1["a[b](c){d} --#62;|x| e#59; f #35;35#59; #38; #60;g#62;"]
        t2["one two three four"]
        t3{"gate"}
        t4["end"]
        t0 --> t1
        t1 --> t2
        t2 --> t3
        t3 -->|"a#34;|b or c] d"| t4
      "
    `);
  });

  it("has one line for each task and each edge, whatever is in a title", () => {
    expect(toMermaid(hostile).trimEnd().split("\n")).toHaveLength(1 + 5 + 4);
  });
});

describe("toDot()", () => {
  it("draws tasks, maps, branches and choices", () => {
    expect(toDot(forecast)).toMatchInlineSnapshot(`
      "digraph "demand-forecast" {
        rankdir=LR;
        "fetch-sales" [label="Fetch sales", shape=box];
        "train" [label="train", shape=box3d];
        "gate" [label="gate", shape=diamond];
        "deploy" [label="deploy", shape=box];
        "either" [label="either", shape=box];
        "cleanup" [label="cleanup (all-done)", shape=box];
        "fetch-sales" -> "train";
        "train" -> "gate";
        "train" -> "deploy";
        "gate" -> "deploy" [label="deploy"];
        "gate" -> "either" [label="deploy or keep"];
        "gate" -> "cleanup";
      }
      "
    `);
  });

  it("escapes quotes, backslashes and line breaks in titles and choices", () => {
    expect(toDot(hostile)).toMatchInlineSnapshot(`
      "digraph "hostile.pipeline" {
        rankdir=LR;
        "quotes" [label="say \\"hi\\" \\\\ and \`code\`", shape=box];
        "brackets" [label="a[b](c){d} -->|x| e; f #35; & <g>", shape=box];
        "lines" [label="one two three four", shape=box];
        "gate" [label="gate", shape=diamond];
        "end" [label="end", shape=box];
        "quotes" -> "brackets";
        "brackets" -> "lines";
        "lines" -> "gate";
        "gate" -> "end" [label="a\\"|b or c] d"];
      }
      "
    `);
  });
});
