import type { TriggerRule } from "./trigger-rules.js";

declare const OUTPUT: unique symbol;

/** What the builder returns for a task: other tasks name it in `needs`, `after` and `over`. */
export interface Node<out Output> {
  readonly id: string;
  /** Carries the output's type; there is no such property. */
  readonly [OUTPUT]?: Output;
}

/** An order-only edge that holds when the branch chose one of its paths. */
export interface WhenEdge {
  readonly branch: string;
  readonly choice: string;
}

/** A task that chooses a path. */
export interface BranchNode<out Choice extends string> extends Node<Choice> {
  /** The path of this choice: `after: [gate.when("deploy")]`. */
  when(choice: NoInfer<Choice>): WhenEdge;
}

/** A group of tasks, which its outside sees as one: what comes after it waits for all of them. */
export interface GroupNode<out Output, out Outputs> extends Node<Output> {
  /** The handles its build function returned, for those that need one output alone; of a mapped group as lists. */
  readonly outputs: Outputs;
}

/** What a build function may return: names for some of its tasks' outputs. */
export type ResultNodes = Readonly<Record<string, Node<unknown>>>;
export type ResultOf<Nodes> = Nodes extends ResultNodes ? { [Name in keyof Nodes]: OutputOf<Nodes[Name]> } : void;
/** The outputs of a mapped group: one list for each name. */
export type ListsOf<Nodes> = Nodes extends ResultNodes
  ? { readonly [Name in keyof Nodes]: Node<OutputOf<Nodes[Name]>[]> }
  : Record<never, never>;

export type Needs = Readonly<Record<string, Node<unknown>>>;
export type After = Node<unknown> | WhenEdge;
export type OutputOf<N> = N extends Node<infer Output> ? Output : never;

/** What a task function reads: certain under `all-success`, possibly missing under every other rule. */
export type InputOf<N extends Needs, Rule extends TriggerRule> = Rule extends "all-success"
  ? { readonly [Name in keyof N]: OutputOf<N[Name]> }
  : { readonly [Name in keyof N]: OutputOf<N[Name]> | undefined };

/** The implementation behind every node: its place in the definition under construction. */
export class TaskHandle implements BranchNode<string> {
  constructor(
    readonly id: string,
    /** The builder that made it; handles do not cross pipelines. */
    readonly owner: object,
    readonly position: number,
    /** The position of the mapped group that handed it to its outside, where it stands for the list of what all items put out. */
    readonly listOf?: number,
  ) {}

  when(choice: string): WhenEdge {
    return new WhenHandle(this, choice);
  }
}

export class GroupHandle extends TaskHandle implements GroupNode<unknown, ResultNodes> {
  constructor(
    id: string,
    owner: object,
    position: number,
    readonly outputs: ResultNodes,
  ) {
    super(id, owner, position);
  }
}

export class WhenHandle implements WhenEdge {
  constructor(
    readonly handle: TaskHandle,
    readonly choice: string,
  ) {}

  get branch(): string {
    return this.handle.id;
  }
}
