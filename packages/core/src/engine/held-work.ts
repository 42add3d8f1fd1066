import type { Lane } from "./dispatcher.js";
import { PriorityQueue } from "./priority-queue.js";
import { Queue } from "./queue.js";

/** Work that a gate holds back. */
export interface Held {
  readonly lane: Lane;
  readonly instance: number;
}

/** What waits of one lane, and since when it is the lane's turn. */
interface Turn {
  readonly lane: Lane;
  readonly instances: Queue<number>;
  /** Rises with every turn. */
  arrival: number;
}

/** Work that waits with a gate: that of the highest priority first; among equals runs take turns, one instance each. */
export class HeldWork {
  size = 0;
  readonly #turns = new PriorityQueue<Turn>();
  readonly #byLane = new Map<Lane, Turn>();
  readonly #nextArrival: () => number;

  /** @param nextArrival - A number that rises, for comparing this with other queues. */
  constructor(nextArrival: () => number = () => 0) {
    this.#nextArrival = nextArrival;
  }

  /** Whose turn it is; `undefined`: nothing waits. */
  get first(): Pick<Turn, "lane" | "arrival"> | undefined {
    return this.#turns.peek();
  }

  push({ lane, instance }: Held): void {
    this.size++;
    const known = this.#byLane.get(lane);
    if (known !== undefined) return known.instances.push(instance);
    const turn = { lane, instances: new Queue<number>(), arrival: 0 };
    turn.instances.push(instance);
    this.#byLane.set(lane, turn);
    this.#queue(turn);
  }

  shift(): Held | undefined {
    const turn = this.#turns.shift();
    if (turn === undefined) return undefined;
    this.size--;
    const { lane, instances } = turn;
    const instance = instances.shift()!;
    if (instances.size > 0) this.#queue(turn);
    else this.#byLane.delete(lane);
    return { lane, instance };
  }

  #queue(turn: Turn): void {
    turn.arrival = this.#nextArrival();
    this.#turns.push(turn, turn.lane.priority);
  }
}
