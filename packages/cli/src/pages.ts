import type { Page } from "weftline";

const PAGE = 1_000;

/** Every record of a listing, page by page. */
export async function* allPages<Item>(
  fetchPage: (page: { readonly limit: number; readonly cursor?: string }) => Promise<Page<Item>>,
): AsyncGenerator<Item> {
  for (let cursor: string | undefined; ; ) {
    const page = await fetchPage(cursor === undefined ? { limit: PAGE } : { limit: PAGE, cursor });
    yield* page.items;
    if (page.next === undefined) return;
    cursor = page.next;
  }
}

/** The same as a list. @param limit - Of so many at most. */
export async function listAll<Item>(
  fetchPage: Parameters<typeof allPages<Item>>[0],
  limit = Number.POSITIVE_INFINITY,
): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of allPages(fetchPage)) {
    if (items.length >= limit) break;
    items.push(item);
  }
  return items;
}
