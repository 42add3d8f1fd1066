// Runs in a thread of its own, and renews the lease of one engine until it is told to stop.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { LeaseBoard, LeaseRenewal, systemClock } from "weftline";
import { Connection } from "./connection.js";
import { type LeaseThreadData, sharedMonotonicMs, toSent } from "./lease-protocol.js";
import { renewLease } from "./ownership.js";
import { storeClock } from "./store-clock.js";

// An error here ends the thread, and the storage takes over from it.
void renewUntilStopped(workerData as LeaseThreadData, parentPort!);

async function renewUntilStopped(
  { settings, request, board, sentAt }: LeaseThreadData,
  port: MessagePort,
): Promise<void> {
  const stop = new AbortController();
  const stopped = new Promise<void>((resolve) => port.once("message", () => resolve()));
  // A power loss that takes the last renewal takes the engine as well: nobody has to wait for the disk.
  const connection = await Connection.open(settings, { mayCreate: false, durability: "normal" });
  await connection.begin();
  const renewal = new LeaseRenewal({
    renew: () => connection.write(() => renewLease(connection, { ...request, isNew: false }, storeClock()), stop),
    leaseMs: request.leaseMs,
    everyMs: request.everyMs,
    maxBlockedMs: request.maxBlockedMs,
    clock: { ...systemClock, monotonicMs: sharedMonotonicMs },
    board: new LeaseBoard(board),
    onRenewal: (made) => port.postMessage(toSent(made)),
  });
  renewal.start(sentAt);
  await stopped;
  stop.abort(); // also a renewal that waits for the lock
  await renewal.stop();
  // Nothing is left to do, so the thread ends by itself: a driver may not survive being ended in the middle of a query.
  connection.close();
  port.close();
}
