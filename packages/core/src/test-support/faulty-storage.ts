import type { TaskRecord } from "../contracts/records.js";
import type { CommitOutcome, Flush, RejectedValue, RunChanges, Storage } from "../contracts/storage.js";
import { testStorage } from "./storages.js";

type Method = Exclude<keyof Storage, "supports" | "schema">;
type Arguments<Name extends Method> = Parameters<NonNullable<Storage[Name]>>;
type Answer<Name extends Method> = Awaited<ReturnType<NonNullable<Storage[Name]>>>;

/** Stands between the engine and one method of its storage. `proceed` does what was asked for. */
export type Interceptor<Name extends Method> = (
  proceed: () => Promise<Answer<Name>>,
  ...args: Arguments<Name>
) => Promise<Answer<Name>>;

type AnyInterceptor = (proceed: () => Promise<unknown>, ...args: unknown[]) => Promise<unknown>;

/** A storage whose calls a test can watch, hold up and spoil. */
export class FaultyStorage {
  /** What the engine gets. */
  readonly storage: Storage;
  /** What really keeps the data. */
  readonly inner: Storage;
  /** Every flush the engine sent, those sent again included. */
  readonly flushes: Flush[] = [];
  readonly #interceptors = new Map<string, readonly AnyInterceptor[]>();

  /** @param hides - Optional methods that this storage does not have. */
  constructor(inner: Storage = testStorage(), hides: readonly Method[] = []) {
    this.inner = inner;
    this.storage = new Proxy(inner, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (hides.includes(name as Method)) return undefined;
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => this.#call(name as Method, args, () => member.apply(target, args));
      },
    });
  }

  /** Every call goes through `interceptor` until the returned function is called; the last one added comes first. */
  on<Name extends Method>(name: Name, interceptor: Interceptor<Name>): () => void {
    return this.#add(name, interceptor as unknown as AnyInterceptor);
  }

  /** The next call that `matches` goes through `interceptor`. */
  once<Name extends Method>(
    name: Name,
    interceptor: Interceptor<Name>,
    matches: (...args: Arguments<Name>) => boolean = () => true,
  ): void {
    const off = this.on(name, (proceed, ...args) => {
      if (!matches(...args)) return proceed();
      off();
      return interceptor(proceed, ...args);
    });
  }

  /** For a second engine on the same data: its stop does not close the storage of the first. */
  static sharing(inner: Storage): Storage {
    const shared = new FaultyStorage(inner);
    shared.on("open", async () => undefined);
    shared.on("close", async () => undefined);
    return shared.storage;
  }

  /** Tells of every call of one method. */
  watch(name: Method, onCall: () => void): void {
    this.#add(name, async (proceed) => {
      onCall();
      return proceed();
    });
  }

  /** Holds up every call of one method until the returned function is called. */
  hold(name: Method): () => void {
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const off = this.#add(name, async (proceed) => {
      await held;
      return proceed();
    });
    return () => {
      off();
      letGo();
    };
  }

  #add(name: Method, interceptor: AnyInterceptor): () => void {
    this.#interceptors.set(name, [interceptor, ...(this.#interceptors.get(name) ?? [])]);
    return () => {
      const rest = this.#interceptors.get(name)!.filter((other) => other !== interceptor);
      this.#interceptors.set(name, rest);
    };
  }

  async #call(name: Method, args: unknown[], proceed: () => unknown): Promise<unknown> {
    if (name === "commit") this.flushes.push(args[0] as Flush);
    const chain = this.#interceptors.get(name) ?? [];
    const step = async (place: number): Promise<unknown> =>
      place === chain.length ? proceed() : chain[place]!(() => step(place + 1), ...args);
    return step(0);
  }
}

/** The call fails and nothing was done. */
export async function failsBefore(): Promise<never> {
  throw new Error("connection refused");
}

/** What was asked for is done, and the answer is lost. */
export async function losesReply(proceed: () => Promise<unknown>): Promise<never> {
  await proceed();
  throw new Error("connection reset");
}

/** Refuses the tasks and items whose new record `isRefused`, as a store that cannot keep such a value. */
export function rejecting(isRefused: (record: TaskRecord) => boolean): Interceptor<"commit"> {
  return async (proceed, flush): Promise<CommitOutcome> => {
    const values = flush.runs.flatMap((changes) => refusedIn(changes, isRefused));
    return values.length > 0 ? { kind: "rejected", values } : proceed();
  };
}

function refusedIn(changes: RunChanges, isRefused: (record: TaskRecord) => boolean): RejectedValue[] {
  return changes.tasks
    .filter(isRefused)
    .map(({ runId, task, index }) => ({ runId, task, index, message: "unsupported character" }));
}
