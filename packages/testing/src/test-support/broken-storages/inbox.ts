import type { Storage } from "weftline";
import { asJson, commits, type Fault } from "./fault.js";

/** Stores that go wrong about messages. */
export const INBOX_FAULTS: readonly Fault[] = [
  [
    "delivers messages once",
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
    "messages stay until a commit consumes them",
  ],
  [
    "never consumes messages",
    commits((changes) => ({ ...changes, consumed: [] })),
    "messages stay until a commit consumes them",
  ],
  [
    "keeps messages of a run that has ended",
    (inner) => {
      const sent: Parameters<Storage["send"]>[0][number][] = [];
      return {
        send(messages) {
          sent.push(...messages);
          return inner.send(messages);
        },
        receive: async () => sent,
      };
    },
    "a final status empties the inbox of its run",
  ],
  [
    "accepts messages for runs that have ended",
    (inner) => ({
      async send(messages) {
        const answers = await inner.send(messages);
        return answers.map((answer) =>
          answer.kind === "refused" && answer.code === "RUN_FINISHED" ? { kind: "sent" } : answer,
        );
      },
    }),
    "send() treats each message on its own and answers in the same order",
  ],
  [
    "keeps a resume in the inbox and does nothing about the run",
    (inner) => ({
      send: async (messages) =>
        messages.every(({ kind }) => kind === "resume") ? messages.map(() => ({ kind: "sent" })) : inner.send(messages),
    }),
    "send() of a resume puts a finished run that did not succeed back to queued, for anybody to claim",
  ],
  [
    "drops properties of messages that have no value",
    (inner) => ({ send: (messages) => inner.send(messages.map(asJson)) }),
    "receive() gives an engine the messages of its runs, as they were sent",
  ],
  [
    "has no rerun for runs that succeeded",
    (inner) => ({
      async send(messages) {
        const runs = await Promise.all(messages.map(({ runId }) => inner.getRun(runId)));
        const answers = await inner.send(messages.filter((_, place) => runs[place]?.status !== "succeeded"));
        const left = [...answers];
        return runs.map((run) =>
          run?.status === "succeeded" ? { kind: "refused", code: "RUN_FINISHED" } : left.shift()!,
        );
      },
    }),
    "send() of a rerun puts any finished run back to queued, for anybody to claim",
  ],
  [
    "takes a rerun while the run goes on",
    (inner) => ({
      async send(messages) {
        const answers = await inner.send(messages);
        return answers.map((answer, place) => (messages[place]!.kind === "rerun" ? { kind: "sent" } : answer));
      },
    }),
    "send() of a rerun is refused while the run has not ended",
  ],
  [
    "takes pauses and signals for runs that have ended",
    (inner) => ({
      async send(messages) {
        const answers = await inner.send(messages);
        return answers.map((answer, place) => (messages[place]!.kind === "cancel" ? answer : { kind: "sent" }));
      },
    }),
    "send() refuses everything but a resume or rerun of a run that has ended",
  ],
  [
    "lets a run that was cancelled wait for its start",
    (inner) => ({
      send: (messages) =>
        inner.send(messages.map((message) => (message.kind === "cancel" ? { ...message, task: "" } : message))),
    }),
    "send() of a whole run's cancel makes one that is to start later due at once, and no other message does",
  ],
  [
    "starts a run early for any message",
    (inner) => {
      let sent = 0;
      return {
        send(messages) {
          sent += messages.length;
          return inner.send(messages);
        },
        claimRuns: (request) => inner.claimRuns(sent > 0 ? { ...request, now: Number.MAX_SAFE_INTEGER } : request),
      };
    },
    "send() of a whole run's cancel makes one that is to start later due at once, and no other message does",
  ],
];
