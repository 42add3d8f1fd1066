// Runs in a thread of its own, and renews the lease of one engine until it is told to stop.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { LeaseBoard, LeaseRenewal, systemClock } from "weftline";
import { Connections } from "./connections.js";
import { type LeaseThreadData, sharedMonotonicMs, toSent } from "./lease-protocol.js";
import { Ownership } from "./ownership.js";

// An error here ends the thread, and the storage takes over from it.
void renewUntilStopped(workerData as LeaseThreadData, parentPort!);

async function renewUntilStopped(data: LeaseThreadData, port: MessagePort): Promise<void> {
  const { settings, request, board, sentAt } = data;
  const stopped = new Promise<void>((resolve) => port.once("message", () => resolve()));
  const connections = await Connections.open(settings);
  const ownership = new Ownership(connections);
  const renewal = new LeaseRenewal({
    renew: () => ownership.renewLease({ ...request, isNew: false }),
    leaseMs: request.leaseMs,
    everyMs: request.everyMs,
    maxBlockedMs: request.maxBlockedMs,
    clock: { ...systemClock, monotonicMs: sharedMonotonicMs },
    board: new LeaseBoard(board),
    onRenewal: (made) => port.postMessage(toSent(made)),
  });
  renewal.start(sentAt);
  await stopped;
  await renewal.stop();
  await connections.close();
  port.close();
}
