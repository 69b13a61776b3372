// What a client holds of account data, receipts and typing, by the rules of clients.
// Imports no code of src/engine, so that what is held does not depend on what is tested.
import type { ExtensionsResponse, RoomAnswer } from "../../src/engine/response.ts";
import type { RoomId } from "../../src/model/ids.ts";

/** One room as a client holds it. */
class HeldRoom {
  readonly accountData = new Map<string, string>();
  /** Event ids by user, type and thread. */
  readonly receipts = new Map<string, string>();
  typing: readonly string[] = [];
}

/** What a client holds that was told beside its rooms. */
export class ExtensionView {
  readonly global = new Map<string, string>();
  readonly #rooms = new Map<RoomId, HeldRoom>();

  of(roomId: RoomId): HeldRoom {
    const room = this.#rooms.get(roomId) ?? new HeldRoom();
    this.#rooms.set(roomId, room);
    return room;
  }

  apply(rooms: readonly RoomAnswer[], { accountData, receipts, typing }: ExtensionsResponse): void {
    for (const { roomId, isInitial } of rooms) if (isInitial) this.#rooms.delete(roomId);
    for (const event of accountData?.global ?? []) hold(this.global, event);
    for (const [roomId, events] of accountData?.rooms ?? []) {
      for (const event of events) hold(this.of(roomId).accountData, event);
    }
    for (const [roomId, all] of receipts?.rooms ?? []) {
      for (const { userId, type, threadId = "", eventId } of all) {
        this.of(roomId).receipts.set(`${userId} ${type} ${threadId}`, eventId);
      }
    }
    for (const [roomId, users] of typing?.rooms ?? []) this.of(roomId).typing = users;
  }

  /** Who types is kept for as long as a client runs. */
  forgetTyping(): void {
    for (const room of this.#rooms.values()) room.typing = [];
  }
}

function hold(held: Map<string, string>, event: Buffer): void {
  const { type, content } = JSON.parse(event.toString());
  held.set(type, JSON.stringify(content));
}

/** In what a client differs from one that was told everything for the first time. It may have more receipts. */
export function extensionDifferences(
  held: ExtensionView,
  fresh: ExtensionView,
  rooms: { readonly told: readonly RoomId[]; readonly joined: readonly RoomId[] },
): readonly string[] {
  return [
    ...differs("global account data", held.global, fresh.global),
    ...rooms.told.flatMap((roomId) => [
      ...differs(`account data of ${roomId}`, held.of(roomId).accountData, fresh.of(roomId).accountData),
      ...[...fresh.of(roomId).receipts].flatMap(([key, eventId]) =>
        held.of(roomId).receipts.get(key) === eventId ? [] : [`${roomId} has the receipt ${key} not at ${eventId}`],
      ),
    ]),
    ...rooms.joined.flatMap((roomId) => {
      const [ours, theirs] = [held.of(roomId), fresh.of(roomId)].map(({ typing }) => typing.join());
      return ours === theirs ? [] : [`in ${roomId} types ${ours}, not ${theirs}`];
    }),
  ];
}

function differs(what: string, held: ReadonlyMap<string, string>, fresh: ReadonlyMap<string, string>): string[] {
  const [ours, theirs] = [held, fresh].map((each) => JSON.stringify([...each].sort()));
  return ours === theirs ? [] : [`${what} ${ours}, not ${theirs}`];
}
