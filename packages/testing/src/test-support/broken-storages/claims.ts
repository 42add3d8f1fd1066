import type { ClaimRequest, RunRecord, Storage } from "weftline";
import { type Fault, freeRuns, pause } from "./fault.js";

/** Claims suspects one by one, as it is told, and everything else as `inner` does. */
function choosesSuspects(
  choose: (suspects: readonly RunRecord[], request: ClaimRequest) => readonly RunRecord[],
): (inner: Storage) => Partial<Storage> {
  return (inner) => ({
    async claimRuns(request) {
      const suspects = (await freeRuns(inner)).filter(({ crashes }) => crashes >= request.suspectFrom);
      const claimed = [...(await inner.claimRuns({ ...request, suspects: 0 }))];
      for (const { id } of choose(suspects, request).slice(0, request.suspects)) {
        claimed.push(...(await inner.claimRuns({ ...request, runId: id })));
      }
      return claimed;
    },
  });
}

const byCrashes = (a: RunRecord, b: RunRecord) => a.crashes - b.crashes;

/** Stores that go wrong when one run is claimed, or suspects are. */
export const CLAIM_FAULTS: readonly Fault[] = [
  [
    "claims whatever there is when one run was asked for",
    (inner) => ({ claimRuns: ({ runId: _, ...request }) => inner.claimRuns(request) }),
    "claimRuns() of one run takes it whatever its definition, its time and maxActiveRuns say",
  ],
  [
    "claims one run only where its definition is known",
    (inner) => ({
      async claimRuns(request) {
        const run = request.runId === undefined ? undefined : await inner.getRun(request.runId);
        return run && !request.definitions.includes(run.definition) ? [] : inner.claimRuns(request);
      },
    }),
    "claimRuns() of one run takes it whatever its definition, its time and maxActiveRuns say",
  ],
  [
    "takes one run that was asked for from its owner",
    (inner) => ({
      async claimRuns(request) {
        const owner = request.runId === undefined ? undefined : (await inner.getRun(request.runId))?.owner;
        if (owner !== undefined && owner !== request.engineId) await inner.releaseLease(owner);
        return inner.claimRuns(request);
      },
    }),
    "claimRuns() of one run takes none that has an owner, has ended, or is not there",
  ],
  [
    "claims one run although it has ended",
    (inner) => ({
      async claimRuns(request) {
        const run = request.runId === undefined ? undefined : await inner.getRun(request.runId);
        return run?.finishedAt === undefined ? inner.claimRuns(request) : [run];
      },
    }),
    "claimRuns() of one run takes none that has an owner, has ended, or is not there",
  ],
  [
    "reads the one run that was asked for and takes it in two steps",
    (inner) => ({
      async claimRuns(request) {
        const run = await inner.getRun(request.runId!);
        await pause();
        await inner.claimRuns(request);
        return run?.owner === undefined ? [{ ...run!, owner: request.engineId, epoch: 1 }] : [];
      },
    }),
    "claimRuns() gives one run to one caller, however many ask for it at once",
  ],
  [
    "takes suspects like any other run",
    (inner) => ({ claimRuns: (request) => inner.claimRuns({ ...request, suspects: 1_000 }) }),
    "claimRuns() takes no more suspects than it is to, and everything else",
  ],
  [
    "takes no suspects at all",
    (inner) => ({ claimRuns: (request) => inner.claimRuns({ ...request, suspects: 0 }) }),
    "claimRuns() takes no more suspects than it is to, and everything else",
  ],
  [
    "takes the oldest suspects",
    choosesSuspects((suspects) => suspects),
    "claimRuns() takes the suspects with the fewest crashes first",
  ],
  [
    "compares crashes as text",
    choosesSuspects((suspects) => [...suspects].sort((a, b) => (`${a.crashes}` < `${b.crashes}` ? -1 : 1))),
    "claimRuns() takes the suspects with the fewest crashes first",
  ],
  [
    "looks for runs that are no suspects among the oldest hundred",
    (inner) => ({
      async claimRuns(request) {
        const oldest = (await freeRuns(inner)).slice(0, 100);
        return oldest.some(({ crashes }) => crashes < request.suspectFrom) ? inner.claimRuns(request) : [];
      },
    }),
    "claimRuns() finds what is no suspect behind any number of suspects",
  ],
  [
    "takes suspects beyond the limit of a claim",
    choosesSuspects((suspects) => [...suspects].sort(byCrashes)),
    "claimRuns() counts suspects against its limit and against maxActiveRuns",
  ],
  [
    "takes suspects whatever their definition",
    choosesSuspects((suspects) => suspects),
    "claimRuns() leaves suspects until their time, and those of other definitions",
  ],
  [
    "takes one run that was asked for although it is a suspect",
    (inner) => ({
      claimRuns: (request) => inner.claimRuns(request.runId === undefined ? request : { ...request, suspects: 1 }),
    }),
    "claimRuns() of one run takes a suspect only where it may take one",
  ],
  [
    "takes every run with a crash for a suspect",
    (inner) => ({ claimRuns: (request) => inner.claimRuns({ ...request, suspectFrom: 1 }) }),
    "claimRuns() goes by suspectFrom: the same run may be a suspect for one engine and none for another",
  ],
];
