import type { ChunkNid, UserNid } from "../../model/ids.ts";
import type { Landmark, Neighbour } from "../../model/room-facts.ts";

/** The place of an event that a batch puts between two neighbours. */
interface NewPlace {
  /** Of an event that begins one, that has no number yet. */
  readonly chunk: ChunkNid | { readonly continues: boolean };
  readonly next: Neighbour | undefined;
}

/** Chunks that begin after a hole, of which a batch shows that there is none: it has the events on both sides. */
export function joinedChunks(
  landmarks: readonly (Landmark | undefined)[],
  places: readonly (NewPlace | undefined)[],
  attestedFor: UserNid | undefined,
): readonly ChunkNid[] {
  return landmarks.flatMap((landmark, index) => {
    if (landmark === undefined || landmark.continues) return [];
    const isAttested = attestedFor === undefined || attestedFor === landmark.attestedFor;
    const older = landmarks[index - 1];
    const place = places[index - 1];
    const stoodBeside = older !== undefined && older.orderKey === landmark.previous?.orderKey;
    const isNeighbour = stoodBeside || place?.next?.orderKey === landmark.orderKey;
    const chunk = older?.chunk ?? place?.chunk;
    return isAttested && isNeighbour && chunk !== landmark.chunk ? [landmark.chunk] : [];
  });
}
