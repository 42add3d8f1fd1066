import type { Page, PageRequest } from "../contracts/records.js";

const PAGE_SIZE = 1_000;

/** Every record of a listing, page by page. */
export async function* everyRecord<Record>(
  list: (page: PageRequest) => Promise<Page<Record>>,
): AsyncGenerator<Record, void, undefined> {
  for (let page = await list({ limit: PAGE_SIZE }); ; page = await list({ limit: PAGE_SIZE, cursor: page.next })) {
    yield* page.items;
    if (page.next === undefined) return;
  }
}
