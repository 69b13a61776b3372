import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { RoomReads } from "../../homeserver/room-reads.ts";
import type { RoomId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { parseSection } from "../response/parsed-section.ts";
import { readPreview } from "./room-preview.ts";

export interface PreviewDeps {
  readonly rooms: Pick<RoomReads, "newestMessages" | "currentState">;
  readonly store: Pick<PartStore, "bulk">;
  readonly nowUs: () => number;
  readonly timelineLimit: number;
}

/**
 * Reads a room as a member sees it and stores it as a part of a first sync of theirs. Everything at or below `storedBefore` was
 * stored before this was called.
 */
export async function storePreview(
  { rooms, store, nowUs, timelineLimit }: PreviewDeps,
  device: ClaimedDevice,
  call: ReadCall,
  { roomId, storedBefore }: { readonly roomId: RoomId; readonly storedBefore: StreamPosition },
): Promise<void> {
  const { userNid, userId, deviceNid } = device;
  const section = await readPreview(rooms, call, { roomId, userId, timelineLimit });
  await store.bulk({
    claim: device,
    source: {
      userNid,
      userId,
      deviceNid,
      // What /messages shows, it shows to this user.
      ignoresSomebody: true,
      poll: "first",
      storedBefore,
      toldUpTo: undefined,
      lastSeen: new Map(),
      nowUs: nowUs(),
    },
    // What cannot be stored is told when a sync brings it.
    sections: [parseSection(section, () => undefined)],
    token: undefined,
    end: undefined,
    receivedUs: undefined,
  });
}
