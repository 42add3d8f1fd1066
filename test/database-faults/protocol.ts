/** What a host is started with, as JSON. */
export interface HostOptions {
  readonly name: string;
  readonly connectionString: string;
  readonly schema: string;
  /** Where its tasks write what they do. */
  readonly witness: string;
  /** Whether it runs anything; one that does not only triggers. */
  readonly runs: boolean;
  /** Isolation that makes each flush a transaction with a COMMIT of its own. */
  readonly serializable?: boolean;
}

export type HostRequest = { readonly do: "trigger"; readonly keys: readonly string[] } | { readonly do: "stop" };

export interface FlushCounts {
  /** Flushes that were confirmed. */
  readonly confirmed: number;
  /** Of them, those that had been sent before and whose fate was unknown. */
  readonly sentAgain: number;
  readonly unknown: number;
  /** Calls that failed, by code; flushes of unknown fate among them. */
  readonly failures: Readonly<Record<string, number>>;
}

export type HostReply =
  | { readonly told: "ready" }
  | { readonly told: "triggered"; readonly runs: readonly (readonly [key: string, runId: string])[] }
  | { readonly told: "counts"; readonly counts: FlushCounts }
  | { readonly told: "stopped" };
