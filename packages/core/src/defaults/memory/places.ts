export const NO_CELL = -1;

/** Where the cells of a level are: the tasks of a run by position, or the items of one map by number. */
export class Places {
  /** By place: the cell of the newest generation. */
  readonly #cells: number[] = [];
  #below: Map<number, Places> | undefined;

  get size(): number {
    return this.#cells.length;
  }

  cell(place: number): number {
    return this.#cells[place] ?? NO_CELL;
  }

  setCell(place: number, cell: number): void {
    this.#reach(place);
    this.#cells[place] = cell;
  }

  /** The items of the map at this place. */
  items(place: number): Places | undefined {
    return this.#below?.get(place);
  }

  /** The same, made if there are none yet. */
  openItems(place: number): Places {
    this.#below ??= new Map();
    let items = this.#below.get(place);
    if (items === undefined) {
      items = new Places();
      this.#below.set(place, items);
      this.#reach(place); // readers go by the number of places
    }
    return items;
  }

  /** Filled up rather than left with holes: an array with far-apart holes turns into a slow dictionary. */
  #reach(place: number): void {
    while (this.#cells.length <= place) this.#cells.push(NO_CELL);
  }
}
