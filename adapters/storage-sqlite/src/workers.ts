import type { Connection } from "./connection.js";

/** Where attempts run. */
export interface Worker {
  readonly engineId: string;
  readonly executor: string;
}

/** The numbers under which executors of engines are kept, so that attempts need not name both each time. */
export class Workers {
  readonly #connection: Connection;
  readonly #numbers = new Map<string, Map<string, number>>();
  readonly #workers = new Map<number, Worker>();
  /** What is remembered holds as long as nothing was undone since. */
  #rollbacks = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** To be called in a write. */
  numberOf({ engineId, executor }: Worker): number {
    this.#forgetUndone();
    const known = this.#numbers.get(engineId)?.get(executor);
    if (known !== undefined) return known;
    const number = this.#find(engineId, executor) ?? this.#add(engineId, executor);
    const numbers = this.#numbers.get(engineId) ?? new Map<string, number>();
    this.#numbers.set(engineId, numbers.set(executor, number));
    return number;
  }

  get(number: number): Worker {
    this.#forgetUndone();
    const known = this.#workers.get(number);
    if (known !== undefined) return known;
    const row = this.#connection.get("SELECT engine, executor FROM weftline_workers WHERE n = ?", number)!;
    const worker = { engineId: row.engine as string, executor: row.executor as string };
    this.#workers.set(number, worker);
    return worker;
  }

  #find(engineId: string, executor: string): number | undefined {
    const sql = "SELECT n FROM weftline_workers WHERE engine = ? AND executor = ?";
    return this.#connection.get(sql, engineId, executor)?.n as number | undefined;
  }

  #add(engineId: string, executor: string): number {
    const sql = "INSERT INTO weftline_workers (engine, executor) VALUES (?, ?) RETURNING n";
    return this.#connection.get(sql, engineId, executor)!.n as number;
  }

  #forgetUndone(): void {
    const { rollbacks } = this.#connection;
    if (rollbacks === this.#rollbacks) return;
    this.#rollbacks = rollbacks;
    this.#numbers.clear();
    this.#workers.clear();
  }
}
