import type { StreamPosition } from "../../model/stream-position.ts";
import type { Source } from "../ingest/source.ts";
import {
  MalformedResponseError,
  type PartStore,
  type ResponseContext,
  ResponseIntake,
  type TakenIn,
} from "./response-intake.ts";

/** Another device of the user whose stream is followed here: it brings the rooms. */
export interface Sibling {
  /**
   * Polls at once. Resolves when a response is stored that was asked for after this call; false: that will not be soon, or the
   * stream has ended.
   */
  pollNow(signal: AbortSignal): Promise<boolean>;
  /** Last events that its stream had of rooms, see {@link Source}. */
  readonly lastSeen: Source["lastSeen"];
}

/** How a further device came to its place in the stream. */
interface Begun {
  readonly taken: TakenIn;
  readonly toldUpTo: StreamPosition;
  /** Where its rooms go on; it may have some of these events once more. */
  readonly lastSeen: Source["lastSeen"];
}

interface Beginning {
  readonly context: ResponseContext;
  readonly store: PartStore;
  readonly onSetAside: (what: "room" | "event" | "section", where: string, reason: string) => void;
  /** Asks for a first sync without rooms. */
  readonly ask: () => Promise<AsyncIterable<Buffer>>;
  readonly sibling: Sibling;
  readonly signal: AbortSignal;
}

/**
 * Begins the stream of a further device without its rooms, which the stream of another one has brought: messages to the device
 * are there at once, not after a sync that takes minutes. The response is stored only once the other stream has told of
 * everything before it, so that nothing lies between what is stored and where this stream goes on:
 *
 *     this one     ask ────► response (N)                          store, go on from N
 *     the sibling                 └─ ask ────► response, stored ──┘
 *
 * Before that nothing of it is stored or acknowledged. undefined: the device needs a first sync with all rooms.
 */
export async function beginBeside({
  context,
  store,
  ask,
  onSetAside,
  sibling,
  signal,
}: Beginning): Promise<Begun | undefined> {
  const held: PartStore = {
    get position() {
      return store.position;
    },
    live: (part) => store.live(part),
    // Only rooms make a response long.
    bulk: () => Promise.reject(new MalformedResponseError("the homeserver sent rooms that were left out")),
  };
  const intake = new ResponseIntake(context, held, { onSetAside });
  for await (const chunk of await ask()) {
    await intake.write(chunk);
    if (intake.arrived.rooms > 0) return undefined;
  }
  if (!(await sibling.pollNow(signal))) return undefined;
  const [toldUpTo, lastSeen] = [store.position, new Map(sibling.lastSeen)];
  return { taken: await intake.end(), toldUpTo, lastSeen };
}
