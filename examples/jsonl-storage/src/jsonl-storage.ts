import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import {
  type DefinitionRecord,
  decode,
  encode,
  type LeaseRequest,
  memoryStorage,
  type Storage,
  type StorageContext,
  WeftlineError,
} from "weftline";

/** The methods that change something; all others only read. */
type Change =
  | "renewLease"
  | "releaseLease"
  | "createRuns"
  | "claimRuns"
  | "commit"
  | "remapRun"
  | "send"
  | "sendSignals"
  | "receive"
  | "putDefinitions"
  | "putSchedules"
  | "fire"
  | "deleteRun"
  | "prune";
type Arguments<Name extends Change> = Parameters<Storage[Name]>;

const NO_LIMITS = { maxBytes: Number.POSITIVE_INFINITY, maxDepth: Number.POSITIVE_INFINITY };

/**
 * Keeps runs and their history in one file of JSON lines: each line is a call that changed something, and `open()`
 * makes them all again on a store in memory. For one process at a time.
 *
 * @param options.file - Made where there is none, in a folder that exists.
 */
export function jsonlStorage(options: { readonly file: string }): Storage {
  return new JsonlStorage(options.file);
}

class JsonlStorage implements Storage {
  readonly supports = { manyProcesses: false, hostTransactions: false, notify: true, durable: true };
  readonly #path: string;
  /** What all lines together amount to. */
  #state = memoryStorage();
  /** The file, while the store is open. */
  #file: FileHandle | undefined;
  /** The length of the file's whole lines, in bytes. */
  #size = 0;
  /** The moment of the change that is being made: the same when it is made again. */
  #at: number | undefined;
  #now: () => number = () => 0;
  /** One change at a time, so that the lines are in the order in which the changes happened. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  // ---- Opening and closing

  async open({ log, now }: StorageContext): Promise<void> {
    const file = await open(this.#path, "a+");
    try {
      this.#state = memoryStorage();
      await this.#state.open({ log, now: () => this.#at ?? this.#now() });
      const alive = await this.#replay(await file.readFile());
      await file.truncate(this.#size); // a last line that was not finished was never confirmed either
      await file.sync();
      await syncFolder(this.#path);
      this.#now = now;
      this.#file = file;
      // No other process has this file, so an engine that did not release its lease is dead.
      for (const engineId of alive) await this.#bury(engineId);
    } catch (error) {
      this.#file = undefined;
      await file.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      const file = this.#file;
      this.#file = undefined;
      await this.#state.close();
      await file?.close();
    });
  }

  /** Makes every change again. @returns The engines that hold a lease. */
  async #replay(bytes: Buffer): Promise<ReadonlySet<string>> {
    const alive = new Set<string>();
    this.#size = 0;
    for (let end = bytes.indexOf("\n"); end >= 0; end = bytes.indexOf("\n", this.#size)) {
      const isLast = bytes.indexOf("\n", end + 1) < 0;
      const change = readLine(bytes.toString("utf8", this.#size, end));
      if (change === undefined && isLast) break; // written in part, although its end was
      if (change === undefined) throw new Error(`Cannot open ${this.#path} as it is damaged after byte ${this.#size}`);
      const [at, name, args] = change;
      await this.#make(at, name, args).catch(() => undefined); // who asked for it was told then
      if (name === "renewLease") alive.add((args[0] as LeaseRequest).engineId);
      if (name === "releaseLease") alive.delete(args[0] as string);
      this.#size = end + 1;
    }
    return alive;
  }

  /** Lets an engine die: its lease ends now, and that is noticed as it is renewed. */
  async #bury(engineId: string): Promise<void> {
    const renewal = { engineId, leaseMs: Number.MIN_VALUE, isNew: false, definitions: [] };
    await this.renewLease(renewal);
    await this.renewLease(renewal);
    await this.releaseLease(engineId);
  }

  // ---- Changes: first the file, then the state, so that nobody sees what a crash could undo

  #change<Name extends Change>(name: Name, ...args: Arguments<Name>): ReturnType<Storage[Name]> {
    const done = this.#inTurn(async () => {
      const at = this.#now();
      await this.#append(`${JSON.stringify([at, name, encode(args, "output", NO_LIMITS)])}\n`);
      return this.#make(at, name, args);
    });
    return done as ReturnType<Storage[Name]>;
  }

  async #make<Name extends Change>(at: number, name: Name, args: Arguments<Name>): Promise<unknown> {
    const method = this.#state[name] as (...args: Arguments<Name>) => Promise<unknown>;
    this.#at = at;
    try {
      return await method.apply(this.#state, args);
    } finally {
      this.#at = undefined;
    }
  }

  async #append(line: string): Promise<void> {
    const file = this.#opened();
    try {
      await file.appendFile(line);
      await file.datasync();
      this.#size += Buffer.byteLength(line);
    } catch (error) {
      // Half a line must not stay before the next one; if it cannot be removed, there must be no next one.
      await file.truncate(this.#size).catch(() => {
        this.#file = undefined;
        return file.close();
      });
      throw error;
    }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  #opened(): FileHandle {
    if (this.#file) return this.#file;
    throw new WeftlineError("STORAGE_CLOSED", `Cannot use ${this.#path} before open() or after close().`);
  }

  renewLease: Storage["renewLease"] = (request) => this.#change("renewLease", request);
  releaseLease: Storage["releaseLease"] = (engineId) => this.#change("releaseLease", engineId);
  createRuns: Storage["createRuns"] = (runs) => this.#change("createRuns", runs);
  claimRuns: Storage["claimRuns"] = (request) => this.#change("claimRuns", request);
  commit: Storage["commit"] = (flush) => this.#change("commit", flush);
  remapRun: Storage["remapRun"] = (request) => this.#change("remapRun", request);
  send: Storage["send"] = (messages) => this.#change("send", messages);
  sendSignals: Storage["sendSignals"] = (signals) => this.#change("sendSignals", signals);
  putSchedules: Storage["putSchedules"] = (schedules) => this.#change("putSchedules", schedules);
  fire: Storage["fire"] = (request) => this.#change("fire", request);
  deleteRun: Storage["deleteRun"] = (runId) => this.#change("deleteRun", runId);
  prune: Storage["prune"] = (request) => this.#change("prune", request);

  /** Moving signals to runs is a change; where there is nothing to receive, nothing has to be written down. */
  async receive(engineId: string): ReturnType<Storage["receive"]> {
    const { messages } = await this.look({ engineId, definitions: [], now: 0 });
    return messages ? this.#change("receive", engineId) : [];
  }

  /** Writes down what is new; of what is known, the graph is not to be read. */
  async putDefinitions(definitions: readonly DefinitionRecord[]): Promise<void> {
    this.#opened();
    const known = await Promise.all(definitions.map(({ hash }) => this.#state.getDefinition(hash)));
    const added = definitions.filter((_, place) => known[place] === undefined);
    if (added.length === 0) return;
    // Each graph is read here, once: making it may be expensive.
    await this.#change(
      "putDefinitions",
      added.map(({ hash, pipeline, graph }) => ({ hash, pipeline, graph })),
    );
  }

  // ---- Reading

  loadTasks: Storage["loadTasks"] = (runIds, page) => this.#state.loadTasks(runIds, page);
  loadSteps: Storage["loadSteps"] = (runIds, page) => this.#state.loadSteps(runIds, page);
  look: Storage["look"] = (request) => this.#state.look(request);
  getRun: Storage["getRun"] = (runId) => this.#state.getRun(runId);
  endedAmong: Storage["endedAmong"] = (runIds) => this.#state.endedAmong(runIds);
  survey: Storage["survey"] = (request) => this.#state.survey(request);
  list: Storage["list"] = (kind, query, page) => this.#state.list(kind, query, page);
  getArtifact: Storage["getArtifact"] = (runId, name) => this.#state.getArtifact(runId, name);
  getCached: Storage["getCached"] = (key, now) => this.#state.getCached(key, now);
  getDefinition: Storage["getDefinition"] = (hash) => this.#state.getDefinition(hash);
  schedules: Storage["schedules"] = () => this.#state.schedules();

  async listen(onHint: Parameters<NonNullable<Storage["listen"]>>[0]): Promise<() => Promise<void>> {
    this.#opened();
    return this.#state.listen!(onHint);
  }
}

/** @returns `undefined` for a line that was not written whole. */
function readLine(line: string): [at: number, name: Change, args: Arguments<Change>] | undefined {
  try {
    const [at, name, args] = JSON.parse(line) as [number, Change, string];
    return [at, name, decode(args) as Arguments<Change>];
  } catch {
    return undefined;
  }
}

/** A new file's name is part of its folder, and survives a power cut only when that is written too. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return; // cannot open a folder, and does not need to
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
