// Stands between the product and its database, knows every statement that passes, and strikes at the one it is told.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type Answer, AnswerReader, type Statement, StatementReader } from "./wire.ts";

/** When a strike comes: before a statement reaches the database, before its answer is there, before or after it is told. */
export const PHASES = ["before", "sent", "answered", "told"] as const;
export type Phase = (typeof PHASES)[number];

export interface DatabaseStrike {
  /** As {@link stepOf} names it. */
  readonly step: string;
  readonly phase: Phase;
  /** 1: the first that passes. */
  readonly nth: number;
  /** Done in the same turn of the event loop. */
  strike(): "freeze" | "go on" | "cut";
}

export interface DatabaseRelay extends AsyncDisposable {
  readonly port: number;
  arm(strike: DatabaseStrike): void;
  disarm(): void;
  /** Steps of transactions that store a response, as they were seen since they were forgotten last, sorted. */
  steps(): readonly string[];
  forgetSteps(): void;
}

/** Every transaction that stores something of a response begins with one of these. */
const STORING = ["lock-rooms", "lock-devices", "check-claim"];

/** Of the steps of storing a response, and of answering: its statements, by name, and its COMMIT. */
interface Transaction {
  isStoring: boolean;
  isNumbering: boolean;
  hasMessages: boolean;
}

/** What is most easily lost goes with it. */
export const COMMIT_OF_MESSAGES = "COMMIT after append-to-device";

const RENUMBER = "renumber-to-device";
/** Of the messages of a device whose client has a token that was never issued here. */
export const COMMIT_OF_NUMBERS = `COMMIT after ${RENUMBER}`;

/** What a statement is called; the COMMIT of a transaction that stores a response is apart from all others. */
function stepOf(label: string, transaction: Transaction): string {
  if (STORING.includes(label)) transaction.isStoring = true;
  if (label === "append-to-device") transaction.hasMessages = true;
  if (label === RENUMBER) transaction.isNumbering = true;
  if (!/^(BEGIN|COMMIT|ROLLBACK)/.test(label)) return label;
  const step = label === "COMMIT" ? commitOf(transaction) : `other ${label}`;
  transaction.isStoring = false;
  transaction.isNumbering = false;
  transaction.hasMessages = false;
  return step;
}

function commitOf({ isStoring, isNumbering, hasMessages }: Transaction): string {
  if (isNumbering) return COMMIT_OF_NUMBERS;
  if (!isStoring) return "other COMMIT";
  return hasMessages ? COMMIT_OF_MESSAGES : "COMMIT";
}

interface Armed extends DatabaseStrike {
  seen: number;
}

interface Board {
  armed: Armed | undefined;
}

/** `socketPath` is asked for each connection, since a database that was started again may have another. */
export async function startDatabaseRelay(socketPath: () => string): Promise<DatabaseRelay> {
  const steps = new Set<string>();
  const sockets = new Set<Socket>();
  const board: Board = { armed: undefined };
  const server = createServer({ allowHalfOpen: false }, (client) => {
    const upstream = connect(socketPath());
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("close", () => sockets.delete(socket));
    }
    join(client, upstream, steps, board);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the relay has no port");
  return {
    port: address.port,
    arm: (strike) => {
      board.armed = { ...strike, seen: 0 };
    },
    disarm: () => {
      board.armed = undefined;
    },
    steps: () => [...steps].sort(),
    forgetSteps: () => steps.clear(),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function join(client: Socket, upstream: Socket, steps: Set<string>, board: Board): void {
  const line = new Line(client, upstream, steps, board);
  client.on("data", (chunk: Buffer) => line.onSent(chunk));
  upstream.on("data", (chunk: Buffer) => line.onAnswered(chunk));
  client.on("error", () => undefined);
  upstream.on("error", () => undefined);
  client.on("close", () => upstream.end());
  upstream.on("close", () => client.destroy());
}

/** One connection through the relay. */
class Line {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #steps: Set<string>;
  readonly #board: Board;
  readonly #statements = new StatementReader();
  readonly #answers = new AnswerReader();
  readonly #transaction: Transaction = { isStoring: false, isNumbering: false, hasMessages: false };
  /** Of the statements that are not answered yet, the strike that waits for the answer. */
  readonly #waiting: (Armed | undefined)[] = [];
  #withheld: Buffer[] = [];
  #isFrozen = false;

  constructor(client: Socket, upstream: Socket, steps: Set<string>, board: Board) {
    this.#client = client;
    this.#upstream = upstream;
    this.#steps = steps;
    this.#board = board;
  }

  onSent(chunk: Buffer): void {
    for (const statement of this.#statements.statements(chunk)) {
      if (!this.#isFrozen) this.#send(statement);
    }
  }

  onAnswered(chunk: Buffer): void {
    for (const answer of this.#answers.answers(chunk)) {
      if (!this.#isFrozen) this.#tell(answer);
    }
  }

  #send({ bytes, label, isAnswered }: Statement): void {
    const armed = label === undefined ? undefined : this.#meeting(label);
    if (armed?.phase === "before") this.#strike(armed);
    if (this.#isFrozen) return;
    this.#upstream.write(bytes);
    const awaitsAnswer = armed?.phase === "answered" || armed?.phase === "told";
    if (isAnswered) this.#waiting.push(awaitsAnswer ? armed : undefined);
    if (armed?.phase === "sent") this.#strike(armed);
  }

  #tell({ bytes, isReady }: Answer): void {
    const [armed] = this.#waiting;
    const isWithheld = armed?.phase === "answered";
    if (!isWithheld) this.#client.write(bytes);
    else this.#withheld.push(bytes);
    if (!isReady) return;
    this.#waiting.shift();
    if (armed !== undefined) this.#strike(armed);
    // The struck one was another process: this one goes on, with its answer.
    if (!this.#isFrozen) for (const piece of this.#withheld) this.#client.write(piece);
    this.#withheld = [];
  }

  #strike(armed: Armed): void {
    const what = armed.strike();
    this.#isFrozen = what !== "go on";
    // What has reached the database takes effect there, whoever hears of it.
    if (what === "cut") this.#client.destroy();
  }

  /** The strike that this statement was waited for with. */
  #meeting(label: string): Armed | undefined {
    const step = stepOf(label, this.#transaction);
    if (this.#transaction.isStoring || step.startsWith("COMMIT")) this.#steps.add(step);
    const { armed } = this.#board;
    if (armed === undefined || armed.step !== step) return undefined;
    armed.seen += 1;
    if (armed.seen < armed.nth) return undefined;
    this.#board.armed = undefined;
    return armed;
  }
}
