/** By path from the root: what is replaced by what. */
export type Replacements = Readonly<Record<string, readonly (readonly [from: string, to: string])[]>>;

export function bundle(name: string, replacements?: Replacements): Promise<string>;
