/** One message of the protocol of Postgres, as it is sent. */
export interface Message {
  /** Its letter; empty for what a client begins with, which has none. */
  readonly type: string;
  /** All of it, its letter and length included. */
  readonly bytes: Buffer;
}

const LENGTH_BYTES = 4;
const CANCEL_REQUEST = 80_877_102;

/**
 * Cuts a stream into messages. @see https://www.postgresql.org/docs/current/protocol-message-formats.html
 *
 * Encryption is not understood: the client must not ask for it.
 */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0);
  /** The next message has no letter. */
  #isBare: boolean;

  /** @param from - Whose stream it is; a client's first message has no letter. */
  constructor(from: "client" | "server") {
    this.#isBare = from === "client";
  }

  /** @returns The messages that are complete with this piece of the stream. */
  read(piece: Buffer): readonly Message[] {
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    const messages: Message[] = [];
    for (;;) {
      const letter = this.#isBare ? 0 : 1;
      if (this.#rest.length < letter + LENGTH_BYTES) return messages;
      const size = letter + this.#rest.readInt32BE(letter);
      if (this.#rest.length < size) return messages;
      const bytes = this.#rest.subarray(0, size);
      messages.push({ type: this.#isBare ? "" : String.fromCharCode(bytes[0]!), bytes });
      this.#rest = this.#rest.subarray(size);
      this.#isBare = false;
    }
  }
}

/** Whether a client's first message asks for a query of another connection to be given up. */
export function isCancelRequest({ type, bytes }: Message): boolean {
  return type === "" && bytes.length >= 8 && bytes.readInt32BE(LENGTH_BYTES) === CANCEL_REQUEST;
}

/**
 * Follows what a client asks for: which statement's answer comes next. Statements that were prepared are known by the
 * name under which this connection prepared them.
 */
export class StatementFollower {
  readonly #prepared = new Map<string, string>();
  #bound = "";
  readonly #asked: string[] = [];

  /** @returns The text of the statement that this message completes, if it does: its answer is due now. */
  sent({ type, bytes }: Message): string | undefined {
    if (type === "P") {
      const [name, text] = texts(bytes, 5, 2);
      this.#prepared.set(name!, text!);
    }
    if (type === "B") this.#bound = this.#prepared.get(texts(bytes, 5, 2)[1]!) ?? "";
    if (type === "Q") return this.#ask(texts(bytes, 5, 1)[0]!);
    if (type === "S") return this.#ask(this.#bound);
    return undefined;
  }

  /** The statement whose answer this message of the server ends; `undefined`: it ends none. */
  ended({ type }: Message): string | undefined {
    return type === "Z" ? (this.#asked.shift() ?? "") : undefined;
  }

  /** The statement whose answer is coming. */
  get answering(): string | undefined {
    return this.#asked[0];
  }

  #ask(text: string): string {
    this.#asked.push(text);
    return text;
  }
}

/** So many texts that each end with a NUL. */
function texts(bytes: Buffer, start: number, count: number): readonly string[] {
  const found: string[] = [];
  let from = start;
  for (let n = 0; n < count; n++) {
    const end = bytes.indexOf(0, from);
    found.push(bytes.toString("utf8", from, end));
    from = end + 1;
  }
  return found;
}
