/** One rule of a contract, and how it is checked. */
interface ContractCase<Fixture> {
  /** Says subject and rule; never changes its meaning, as skips name it. */
  readonly name: string;
  readonly check: (fixture: Fixture) => Promise<void>;
}

/** The cases about one part of a contract. */
export interface ContractTopic<Fixture> {
  readonly name: string;
  readonly cases: readonly ContractCase<Fixture>[];
}

/** What every suite takes, whatever it checks. */
export interface ContractOptions {
  /** Registers a test: `it` of vitest, of `node:test`, or whatever takes a name and a function. */
  readonly it: (name: string, test: () => Promise<void>) => unknown;
  /** Groups the tests by topic where it is given. */
  readonly describe?: (name: string, body: () => void) => unknown;
  /** Cases that are not run, each with the reason people are told. */
  readonly skip?: readonly SkippedCase[];
}

export interface SkippedCase {
  /** The name of a case, as the suite registers it. */
  readonly test: string;
  readonly reason: string;
}

/**
 * Registers a test for each case.
 *
 * @param withFixture - Makes what a case works with, and takes it down whatever happened.
 * @throws {TypeError} For a skip that names no case or gives no reason.
 */
export function registerCases<Fixture>(
  contract: string,
  topics: readonly ContractTopic<Fixture>[],
  { it, describe = (_, body) => body(), skip = [] }: ContractOptions,
  withFixture: (check: (fixture: Fixture) => Promise<void>) => Promise<void>,
): void {
  const reasons = skipReasons(contract, topics, skip);
  for (const topic of topics) {
    describe(`${contract}: ${topic.name}`, () => {
      for (const { name, check } of topic.cases) {
        const reason = reasons.get(name);
        if (reason === undefined) it(name, () => withFixture(check));
        else skipWith(it)(`${name} (skipped: ${reason})`, async () => {});
      }
    });
  }
}

function skipReasons(
  contract: string,
  topics: readonly ContractTopic<never>[],
  skip: readonly SkippedCase[],
): ReadonlyMap<string, string> {
  const names = topics.flatMap(({ cases }) => cases.map(({ name }) => name));
  for (const { test, reason } of skip) {
    if (!names.includes(test)) {
      throw new TypeError(
        `Cannot skip "${test}" as the ${contract} has no such case: its cases are\n  ${names.join("\n  ")}`,
      );
    }
    if (reason.trim() === "") throw new TypeError(`Cannot skip "${test}" without a reason`);
  }
  return new Map(skip.map(({ test, reason }) => [test, reason]));
}

/** The runner's own way to mark a test as skipped; without one the case shows up under its reason and does nothing. */
function skipWith(it: ContractOptions["it"]): ContractOptions["it"] {
  const { skip } = it as { skip?: ContractOptions["it"] };
  return typeof skip === "function" ? skip : it;
}
