import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { ValueAnswer, ValueReads } from "../../homeserver/value-reads.ts";
import { errorOf } from "../../lib/error-of.ts";
import { parseJson } from "../../lib/json-value.ts";
import { pause } from "../../lib/pause.ts";
import type { Semaphore } from "../../lib/semaphore.ts";
import type { RoomId } from "../../model/ids.ts";
import { directRooms } from "../../model/room-lists.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { Database } from "../../store/database.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import { announceJoined, markWindow, selectNewestRooms } from "../../store/first-window.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { type PreviewDeps, storePreview } from "./store-preview.ts";

/**
 * A first sync whose answer has begun by then needs no window ahead of it. Longer: large accounts see their first rooms
 * later. Shorter: small ones are read twice.
 */
const GRACE_MS = 500;

/** Rooms of a window, as clients ask for them at first. More: more requests for every new device. */
const WINDOW_ROOMS = 20;

/** Rooms read at a time for one device. More: one device strains the homeserver. Fewer: its window comes later. */
const CONCURRENT_ROOMS = 5;

export interface FirstWindowDeps extends PreviewDeps {
  readonly db: Database;
  readonly values: Pick<ValueReads, "joinedRooms" | "accountData">;
  readonly store: PartStore;
  /** How many devices are helped at a time. */
  readonly places: Semaphore;
  readonly onPosition: (position: StreamPosition) => void;
  readonly onBuilt: (device: ClaimedDevice, built: { readonly rooms: number; readonly joined: number }) => void;
  readonly onFailed: (device: ClaimedDevice, error: Error) => void;
}

export interface FirstWindowOf {
  readonly device: ClaimedDevice;
  readonly token: string;
  /** Aborts when the answer to the first sync begins. */
  readonly hasBegun: AbortSignal;
  /** Aborts when the window is of no more use. */
  readonly signal: AbortSignal;
}

/**
 * Stores what a device's first answers show while the homeserver still computes its first sync: how many rooms there are,
 * and the most recent of them as far as that can be told. They are stored as parts of that sync would be, which comes later
 * and brings them again. Never rejects. true: the window is there.
 */
export async function buildFirstWindow(deps: FirstWindowDeps, window: FirstWindowOf): Promise<boolean> {
  const { device, signal } = window;
  await pause(GRACE_MS, AbortSignal.any([window.hasBegun, signal]));
  if (window.hasBegun.aborted || signal.aborted) return false;
  try {
    return (await deps.places.run(() => build(deps, window), signal)) ?? false;
  } catch (error) {
    if (!signal.aborted) deps.onFailed(device, errorOf(error));
    return false;
  }
}

async function build(deps: FirstWindowDeps, { device, token, signal }: FirstWindowOf): Promise<boolean> {
  const { db, values, onPosition } = deps;
  const forwarded = { xForwardedFor: device.forwardedFor, userAgent: device.userAgent };
  const call: ReadCall = { token, forwarded, signal };
  const joined = [...(await values.joinedRooms(call))];
  // Only the first sync tells of invites, and of an account without rooms it does not take long.
  if (joined.length === 0) return false;
  const announced = await announceJoined(db, device.userNid, joined.length);
  if (announced !== undefined) onPosition(announced);
  const wanted = await chooseRooms(deps, device, call, joined);
  const stored = await storeRooms(deps, device, call, wanted);
  if (stored === 0) return false;
  const position = await markWindow(db, device);
  if (position === undefined) return false;
  onPosition(position);
  deps.onBuilt(device, { rooms: stored, joined: joined.length });
  return true;
}

/** Rooms whose activity is known through others, then direct chats, then any: nothing else tells which are recent. */
async function chooseRooms(
  { db, values }: FirstWindowDeps,
  { userId }: ClaimedDevice,
  call: ReadCall,
  joined: readonly RoomId[],
): Promise<readonly RoomId[]> {
  const known = await selectNewestRooms(db, joined, WINDOW_ROOMS);
  const isJoined = new Set(joined);
  // Most accounts have none, and nothing depends on it.
  const direct = await values.accountData(call, userId, undefined, "m.direct").then(directIn, () => []);
  const chosen = new Set([...known, ...direct.filter((roomId) => isJoined.has(roomId)), ...joined]);
  return [...chosen].slice(0, WINDOW_ROOMS);
}

const directIn = (answer: ValueAnswer): readonly RoomId[] =>
  answer.kind === "found" ? directRooms(parseJson(answer.raw)) : [];

/** One after the other in each of a few lanes. A room that cannot be read is left to the first sync. */
async function storeRooms(
  deps: FirstWindowDeps,
  device: ClaimedDevice,
  call: ReadCall,
  wanted: readonly RoomId[],
): Promise<number> {
  const left = [...wanted];
  let stored = 0;
  const lane = async () => {
    for (let roomId = left.shift(); roomId !== undefined && !call.signal.aborted; roomId = left.shift()) {
      try {
        const storedBefore = Math.max(device.head, deps.store.position) as StreamPosition;
        await storePreview(deps, device, call, { roomId, storedBefore });
        stored += 1;
      } catch (error) {
        if (!call.signal.aborted) deps.onFailed(device, errorOf(error));
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_ROOMS }, lane));
  return stored;
}
