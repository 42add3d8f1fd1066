import { Queue } from "./queue.js";

/** After so many picks by priority one is made among the others, so that nothing waits for ever. */
const PICKS_BY_PRIORITY = 16;

interface Level<Item> {
  readonly priority: number;
  readonly queue: Queue<Item>;
  /** The pick it was served by last, or that it came after. */
  servedAt: number;
}

/** Highest priority first, first in, first out among equals; now and then the turn of whoever was left waiting longest. */
export class PriorityQueue<Item> {
  /** The highest first. None is empty, but for one that is alone. */
  readonly #levels: Level<Item>[] = [];
  #size = 0;
  #picks = 0;

  get size(): number {
    return this.#size;
  }

  push(item: Item, priority: number): void {
    this.#size++;
    this.#levelOf(priority).queue.push(item);
  }

  /** The first of the highest priority. */
  peek(): Item | undefined {
    return this.#levels[0]?.queue.peek();
  }

  shift(): Item | undefined {
    if (this.#size === 0) return undefined;
    this.#size--;
    if (this.#levels.length === 1) return this.#levels[0]!.queue.shift();
    const place = ++this.#picks % PICKS_BY_PRIORITY === 0 ? this.#leftWaiting() : 0;
    const level = this.#levels[place]!;
    level.servedAt = this.#picks;
    const item = level.queue.shift();
    if (level.queue.size === 0) this.#levels.splice(place, 1);
    return item;
  }

  /** Of the levels below the highest the one that was served longest ago. */
  #leftWaiting(): number {
    let longest = 1;
    for (let place = 2; place < this.#levels.length; place++) {
      if (this.#levels[place]!.servedAt < this.#levels[longest]!.servedAt) longest = place;
    }
    return longest;
  }

  #levelOf(priority: number): Level<Item> {
    if (this.#levels[0]?.queue.size === 0 && this.#levels[0].priority !== priority) this.#levels.pop();
    const found = this.#levels.findIndex((level) => level.priority <= priority);
    const place = found < 0 ? this.#levels.length : found;
    if (this.#levels[place]?.priority === priority) return this.#levels[place];
    const level = { priority, queue: new Queue<Item>(), servedAt: this.#picks };
    this.#levels.splice(place, 0, level);
    return level;
  }
}
