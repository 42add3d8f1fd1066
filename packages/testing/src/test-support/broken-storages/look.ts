import { isRunFinished, type Look, type LookRequest, type RunRecord, type Storage, type Survey } from "weftline";
import { allRuns, type Fault, freeRuns, type Overrides } from "./fault.js";

/** Sees something else than there is. */
function sees(
  change: (seen: Look, request: LookRequest, inner: Storage) => Partial<Look> | Promise<Partial<Look>>,
): Overrides {
  return (inner) => ({
    async look(request) {
      const seen = await inner.look(request);
      return { ...seen, ...(await change(seen, request, inner)) };
    },
  });
}

/** Finds something else than there is. */
function finds(change: (found: Survey, inner: Storage) => Partial<Survey> | Promise<Partial<Survey>>): Overrides {
  return (inner) => ({
    async survey(request) {
      const found = await inner.survey(request);
      return { ...found, ...(await change(found, inner)) };
    },
  });
}

async function isAnyFree(inner: Storage, { now }: LookRequest, isSeen: (run: RunRecord) => boolean): Promise<boolean> {
  return (await freeRuns(inner)).some((run) => run.availableAt <= now && isSeen(run));
}

/** Notices engines that are dead, as a claim does. */
async function buryDead(inner: Storage): Promise<void> {
  const engineId = "gravedigger";
  await inner.renewLease({ engineId, leaseMs: 60_000, isNew: true, definitions: [] });
  const nothing = { definitions: [], maxActiveRuns: {}, limit: 1, suspectFrom: 1, suspects: 0, now: 0 };
  await inner.claimRuns({ engineId, ...nothing });
  await inner.releaseLease(engineId);
}

/** Stores that go wrong when they are looked at. */
export const LOOK_FAULTS: readonly Fault[] = [
  [
    "always sees something to claim",
    sees(() => ({ claimable: true })),
    "look() finds nothing where there is nothing, and shows the store's clock",
  ],
  [
    "always sees messages",
    sees(() => ({ messages: true })),
    "look() finds nothing where there is nothing, and shows the store's clock",
  ],
  [
    "shows the time since it was opened",
    sees(({ storeNow }) => ({ storeNow: storeNow - Date.UTC(2026, 0, 1) })),
    "look() finds nothing where there is nothing, and shows the store's clock",
  ],
  [
    "looks for runs of one definition",
    (inner) => ({ look: (request) => inner.look({ ...request, definitions: request.definitions.slice(0, 1) }) }),
    "look() says that there is something to claim while there is",
  ],
  [
    "sees runs before their time",
    (inner) => ({ look: (request) => inner.look({ ...request, now: request.now + 1 }) }),
    "look() says that there is something to claim while there is",
  ],
  [
    "sees new runs and nothing else",
    sees(async (_, request, inner) => ({ claimable: await isAnyFree(inner, request, ({ epoch }) => epoch === 0) })),
    "look() says that there is something to claim when a run is given back, resumed, or cancelled before its start",
  ],
  [
    "does not look at leases",
    sees(async (_, request, inner) => ({ claimable: await isAnyFree(inner, request, () => true) })),
    "look() says that there is something to claim when the lease of another engine has run out",
  ],
  [
    "tells of messages once",
    (inner) => {
      let told = 0;
      return sees(({ messages }) => ({ messages: messages && ++told === 1 }))(inner);
    },
    "look() says that there are messages until a commit has consumed them, to the owner of their run alone",
  ],
  [
    "tells everybody of a message",
    (inner) => ({
      async look(request) {
        const engines = [request.engineId, "engine-1", "engine-2"];
        const seen = await Promise.all(engines.map((engineId) => inner.look({ ...request, engineId })));
        return { ...seen[0]!, messages: seen.some(({ messages }) => messages) };
      },
    }),
    "look() says that there are messages until a commit has consumed them, to the owner of their run alone",
  ],
  [
    "sees messages and no signals",
    (inner) => {
      let isSent = false;
      return {
        send(messages) {
          isSent = true;
          return inner.send(messages);
        },
        ...sees(({ messages }) => ({ messages: messages && isSent }))(inner),
      };
    },
    "look() says that there are messages when a task of the engine's runs waits for a signal that is there",
  ],
  [
    "wakes nobody for a run that starts later",
    sees(() => ({ nextWake: undefined })),
    "look() knows when the next run is to start",
  ],
  [
    "wakes for the run that was created first",
    sees(async ({ nextWake }, { now }, inner) => {
      const later = (await freeRuns(inner)).find(({ availableAt }) => availableAt > now);
      return { nextWake: later?.availableAt ?? nextWake };
    }),
    "look() knows when the next run is to start",
  ],
  [
    "wakes nobody for the end of a lease",
    sees(async ({ nextWake }, _, inner) => ({ nextWake: (await freeRuns(inner)).length > 0 ? nextWake : undefined })),
    "look() knows when a lease ends that keeps runs from others",
  ],
  [
    "moves signals when it looks",
    sees(async (_, { engineId }, inner) => {
      await inner.receive(engineId);
      return {};
    }),
    "look() changes nothing: it takes no run, moves no signal and lets no engine die",
  ],
  [
    "lets engines die when it looks",
    sees(async (_, __, inner) => {
      await buryDead(inner);
      return {};
    }),
    "look() changes nothing: it takes no run, moves no signal and lets no engine die",
  ],
  [
    "shows 1970 where there is no backlog",
    finds(({ backlog }) => ({ backlog: { ...backlog, oldestAt: backlog.oldestAt ?? 0 } })),
    "survey() of an empty store finds nothing",
  ],
  [
    "shows the definitions that an engine began with",
    (inner) => {
      const first = new Map<string, readonly string[]>();
      return {
        renewLease(request) {
          const definitions = first.get(request.engineId) ?? request.definitions;
          first.set(request.engineId, definitions);
          return inner.renewLease({ ...request, definitions });
        },
      };
    },
    "survey() names every engine with its lease, its definitions and how many unfinished runs it owns",
  ],
  [
    "counts the runs an engine ever owned",
    (inner) => {
      let created = 0;
      return {
        createRuns(runs) {
          created += runs.length;
          return inner.createRuns(runs);
        },
        ...finds(({ engines }) => ({ engines: engines.map((engine) => ({ ...engine, runs: created })) }))(inner),
      };
    },
    "survey() names every engine with its lease, its definitions and how many unfinished runs it owns",
  ],
  [
    "counts runs that are to start later",
    (inner) => ({ survey: () => inner.survey({ now: Number.MAX_SAFE_INTEGER }) }),
    "survey() counts the backlog: free runs that are due, of definitions that a living engine has",
  ],
  [
    "counts runs that nobody can adopt, too",
    finds(async ({ backlog }, inner) => ({ backlog: { ...backlog, runs: (await freeRuns(inner)).length } })),
    "survey() counts the backlog: free runs that are due, of definitions that a living engine has",
  ],
  [
    "names the youngest of the runs that nobody can adopt",
    finds(async ({ unadoptable }, inner) => {
      const runs = (await allRuns(inner)).filter(({ status }) => !isRunFinished(status));
      const idsOf = (definition: string) => runs.filter((run) => run.definition === definition).map(({ id }) => id);
      return {
        unadoptable: unadoptable.map((some) => ({ ...some, runIds: idsOf(some.definition).slice(0, 10) })),
      };
    }),
    "survey() names the oldest free runs whose definition no living engine has, by definition",
  ],
  [
    "takes an engine for alive until somebody notices that it is dead",
    finds(({ engines, unadoptable }) => {
      const known = new Set(engines.flatMap(({ definitions }) => definitions));
      return { unadoptable: unadoptable.filter(({ definition }) => !known.has(definition)) };
    }),
    "survey() takes an engine whose lease has run out for none that could adopt a run",
  ],
  [
    "lets engines die when it is surveyed",
    finds(async (_, inner) => {
      await buryDead(inner);
      return {};
    }),
    "survey() changes nothing, also where the lease of an engine has run out",
  ],
];
