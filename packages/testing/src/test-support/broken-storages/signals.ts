import type { KeyedSignal, RunMessage, Storage } from "weftline";
import { allRuns, commits, type Fault, type Overrides, pause } from "./fault.js";

/** Gives the signals that were moved to other runs: the oldest to the first of `order`, and so on. */
function deals(
  order: (written: ReadonlyMap<string, number>, runIds: readonly string[]) => readonly string[],
): Overrides {
  return (inner) => {
    /** When each run was last written as waiting. */
    const written = new Map<string, number>();
    let writes = 0;
    return {
      commit(flush) {
        for (const { runId, tasks } of flush.runs) {
          if (tasks.some(({ status }) => status === "waiting")) written.set(runId, ++writes);
        }
        return inner.commit(flush);
      },
      async receive(engineId) {
        const messages = [...(await inner.receive(engineId))].sort((a, b) => a.sentAt - b.sentAt);
        const waiting = order(written, [...written.keys()]);
        return messages.map((message, place) => ({ ...message, runId: waiting[place] ?? message.runId }));
      },
    };
  };
}

/** Stores signals by itself, and answers `receive()` with what `take` makes of them. */
function keepsItself(take: (kept: KeyedSignal[], runIds: readonly string[]) => readonly RunMessage[]): Overrides {
  return (inner) => {
    const kept: KeyedSignal[] = [];
    return {
      async sendSignals(signals) {
        kept.push(...signals);
      },
      async receive(engineId) {
        const owned = (await allRuns(inner)).filter(({ owner }) => owner === engineId);
        const own = owned.map(({ id }) => id);
        return [...(await inner.receive(engineId)), ...take(kept, own)];
      },
    };
  };
}

function asMessage({ id, sentAt, key, payload }: KeyedSignal, runId: string): RunMessage {
  return { id, runId, sentAt, kind: "signal", to: { key }, payload };
}

const receives = (change: (inner: Storage, engineId: string) => Promise<readonly RunMessage[]>): Overrides => {
  return (inner) => ({ receive: (engineId) => change(inner, engineId) });
};

/** Stores that go wrong about keyed signals. */
export const SIGNAL_FAULTS: readonly Fault[] = [
  [
    "gives moved signals ids of its own",
    receives(async (inner, engineId) =>
      (await inner.receive(engineId)).map((message, place) => ({ ...message, id: `message-${place}` })),
    ),
    "receive() gives a keyed signal to the run of which a task waits for its key, as a message of the same id",
  ],
  [
    "takes the moment of the move for the moment of the signal",
    (inner) => ({
      sendSignals: (signals) => inner.sendSignals(signals.map((signal) => ({ ...signal, sentAt: signal.sentAt + 1 }))),
    }),
    "receive() gives a keyed signal to the run of which a task waits for its key, as a message of the same id",
  ],
  [
    "drops a signal that nobody waits for yet",
    (inner) => ({
      async sendSignals(signals) {
        for (const { id } of await allRuns(inner)) {
          const { items } = await inner.list("tasks", { runId: id, status: ["waiting"] }, { limit: 1_000 });
          if (items.length > 0) return inner.sendSignals(signals);
        }
      },
    }),
    "sendSignals() keeps signals until a task waits for their key",
  ],
  [
    "gives the youngest signal first",
    (inner) => {
      let sent = 0;
      return {
        sendSignals: (signals) =>
          inner.sendSignals(signals.map((signal) => ({ ...signal, id: `s${4 - sent++}`, sentAt: signal.sentAt }))),
      };
    },
    "receive() gives the oldest signal to the run that has waited longest, one to each waiting task",
  ],
  [
    "gives the oldest signal to the run that has waited shortest",
    deals((_, runIds) => [...runIds].reverse()),
    "receive() gives the oldest signal to the run that has waited longest, one to each waiting task",
  ],
  [
    "gives the oldest signal to the oldest run",
    deals((_, runIds) => [...runIds].sort()),
    "receive() gives the oldest signal to the run that has waited longest, one to each waiting task",
  ],
  [
    "counts the wait from the last write",
    deals((written, runIds) => [...runIds].sort((a, b) => written.get(a)! - written.get(b)!)),
    "a task that is written again while it waits keeps its turn",
  ],
  [
    "gives all signals of a key to the task that waits",
    (inner) => {
      const sent: KeyedSignal[] = [];
      return {
        sendSignals(signals) {
          sent.push(...signals);
          return inner.sendSignals(signals);
        },
        async receive(engineId) {
          const [first] = await inner.receive(engineId);
          return first === undefined ? [] : sent.map((signal) => asMessage(signal, first.runId));
        },
      };
    },
    "receive() gives a waiting task no second signal, and the next one when it waits again",
  ],
  [
    "gives a run one signal for ever",
    (inner) => {
      const given = new Map<string, string>();
      return {
        async receive(engineId) {
          const messages = await inner.receive(engineId);
          for (const { id, runId } of messages) if (!given.has(runId)) given.set(runId, id);
          return messages.filter(({ id, runId }) => given.get(runId) === id);
        },
      };
    },
    "receive() gives a waiting task no second signal, and the next one when it waits again",
  ],
  [
    "gives a run one signal, however many of its tasks wait",
    receives(async (inner, engineId) => (await inner.receive(engineId)).slice(0, 1)),
    "receive() gives a run as many signals as its tasks and items wait for",
  ],
  [
    "trims keys",
    (inner) => ({
      ...commits((changes) => ({
        ...changes,
        tasks: changes.tasks.map((task) =>
          task.wait?.kind === "signal" ? { ...task, wait: { ...task.wait, key: task.wait.key?.trim() } } : task,
        ),
      }))(inner),
      sendSignals: (signals) => inner.sendSignals(signals.map((signal) => ({ ...signal, key: signal.key.trim() }))),
    }),
    "receive() gives signals to exactly their keys",
  ],
  [
    "gives a signal to any run, whatever it waits for",
    keepsItself((kept, runIds) => kept.map((signal) => asMessage(signal, runIds[0]!))),
    "receive() gives signals to exactly their keys",
  ],
  [
    "takes a wait without a key for a wait for any",
    commits((changes) => ({
      ...changes,
      tasks: changes.tasks.map((task) =>
        task.wait?.kind === "signal" ? { ...task, wait: { kind: "signal", key: task.wait.key ?? "undefined" } } : task,
      ),
    })),
    "receive() gives signals to exactly their keys",
  ],
  [
    "looks at what a task waits for and not at its status",
    commits((changes) => ({
      ...changes,
      tasks: changes.tasks.map((task) => (task.wait?.kind === "signal" ? { ...task, status: "waiting" } : task)),
    })),
    "receive() gives signals only to tasks that wait now",
  ],
  [
    "looks for waiting tasks in every generation",
    commits((changes) => ({
      ...changes,
      tasks: changes.tasks.filter(({ generation, status }) => generation === 1 || status === "waiting"),
    })),
    "receive() gives signals only to tasks that wait now",
  ],
  [
    "moves signals to runs of whoever owns them",
    receives(async (inner) => [...(await inner.receive("engine-1")), ...(await inner.receive("engine-2"))]),
    "receive() moves signals only to runs that the engine owns",
  ],
  [
    "moves a signal and loses it with the answer",
    (inner) => {
      const delivered = new Set<string>();
      return {
        async receive(engineId) {
          const fresh = (await inner.receive(engineId)).filter(({ id }) => !delivered.has(id));
          for (const { id } of fresh) delivered.add(id);
          return fresh;
        },
      };
    },
    "a signal that was moved stays with its run until a commit consumes it, whoever owns the run",
  ],
  [
    "gives back a signal that the end of its run left over",
    (inner) => ({
      async commit(flush) {
        const messages = await inner.receive(flush.engineId);
        const ended = flush.runs.filter(({ run }) => run?.finishedAt !== undefined).map(({ runId }) => runId);
        for (const message of messages) {
          if (message.kind !== "signal" || !("key" in message.to) || !ended.includes(message.runId)) continue;
          await inner.sendSignals([{ ...message, key: message.to.key }]);
        }
        return inner.commit(flush);
      },
    }),
    "a signal that was moved goes with its run when that ends",
  ],
  [
    "forgets signals together with a run that is deleted",
    (inner) => {
      let isForgotten = false;
      return {
        deleteRun(runId) {
          isForgotten = true;
          return inner.deleteRun(runId);
        },
        receive: async (engineId) => (isForgotten ? [] : inner.receive(engineId)),
      };
    },
    "a signal that nobody took stays, whatever becomes of the runs that waited",
  ],
  [
    "reads the signals there are and takes them in two steps",
    (inner) => {
      const kept: KeyedSignal[] = [];
      return {
        async sendSignals(signals) {
          kept.push(...signals);
        },
        async receive(engineId) {
          const taken = [...kept];
          await pause();
          await inner.sendSignals(taken);
          const messages = await inner.receive(engineId);
          for (const { id } of messages) {
            const place = kept.findIndex((signal) => signal.id === id);
            if (place >= 0) kept.splice(place, 1);
          }
          return messages;
        },
      };
    },
    "receive() gives each signal to one run, however many engines ask at once",
  ],
];
