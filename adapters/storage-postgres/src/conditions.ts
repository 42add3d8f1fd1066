/** The conditions of one query, with their values as parameters. */
export class Conditions {
  readonly values: unknown[];
  readonly #conditions: string[] = [];

  /** @param values - Those of parameters that the query has anyway. */
  constructor(values: readonly unknown[] = []) {
    this.values = [...values];
  }

  /** Adds a parameter. @returns Its name. */
  value(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  /** Adds a condition, unless there is nothing to compare with. @param write - Gets the parameter's name. */
  add<Value>(value: Value | undefined, write: (parameter: string) => string): this {
    if (value !== undefined) this.#conditions.push(write(this.value(value)));
    return this;
  }

  equal(column: string, value: string | number | undefined): this {
    return this.add(value, (parameter) => `${column} = ${parameter}`);
  }

  among(column: string, values: readonly string[] | undefined): this {
    return this.add(values, (parameter) => `${column} = ANY (${parameter}::text[])`);
  }

  also(condition: string): this {
    this.#conditions.push(condition);
    return this;
  }

  /** True where there are none. */
  get text(): string {
    return this.#conditions.length === 0 ? "true" : this.#conditions.join(" AND ");
  }
}
