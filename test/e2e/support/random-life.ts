import { setTimeout as pause } from "node:timers/promises";
import { createRandom, type Random } from "../../support/homeserver/random.ts";
import { ApiError, type JsonObject, type Session } from "../../support/room-life/api.ts";

/** Between two deeds at most; about as long as a deed takes. */
const MAX_PAUSE_MS = 60;

/** What some users do in rooms, by chance. What a deed may not do, the homeserver refuses; that is part of the life. */
export class RandomLife {
  readonly rooms: string[] = [];
  /** Users who ignored somebody at any time. */
  readonly everIgnored = new Set<string>();
  /** Deeds that were done, and that were refused. */
  readonly counts = { done: 0, refused: 0 };
  /** As far as deeds tell. */
  readonly #members = new Map<string, Set<string>>();
  readonly #cast: readonly Session[];
  readonly #random: Random;

  constructor(cast: readonly Session[], seed: number) {
    this.#cast = cast;
    this.#random = createRandom(seed);
  }

  async run(seconds: number, stop: AbortSignal): Promise<void> {
    const endMs = performance.now() + seconds * 1000;
    while (this.rooms.length < 3) await this.#createRoom(this.#anyone());
    while (performance.now() < endMs && !stop.aborted) {
      try {
        await this.#deed();
        this.counts.done += 1;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status >= 500) throw error;
        this.counts.refused += 1;
      }
      await pause(this.#random.unit() * MAX_PAUSE_MS);
    }
  }

  readonly #anyone = (): Session => this.#random.pick(this.#cast);

  async #deed(): Promise<void> {
    const other = this.#anyone();
    const room = this.#random.pick(this.rooms);
    const on = { user_id: other.userId };
    const dice = this.#random.below(100);
    // Mostly somebody who may; the rest is refused.
    const members = this.#cast.filter(({ userId }) => this.#members.get(room)?.has(userId));
    const isOutside = dice >= 48 && dice < 58;
    const who =
      isOutside || members.length === 0 || this.#random.below(8) === 0 ? this.#anyone() : this.#random.pick(members);
    await this.#act(dice, { who, other, room, on });
    const moved = this.#members.get(room) ?? new Set();
    if (dice >= 48 && dice < 58) moved.add(who.userId);
    if ((dice >= 58 && dice < 63) || (dice >= 73 && dice < 75)) moved.delete(who.userId);
    if (dice >= 63 && dice < 70) moved.delete(other.userId);
    this.#members.set(room, moved);
  }

  async #act(
    dice: number,
    { who, other, room, on }: { who: Session; other: Session; room: string; on: { user_id: string } },
  ): Promise<void> {
    if (dice < 40) await this.#say(who, room);
    else if (dice < 48) await who.inRoom("POST", room, "invite", on);
    else if (dice < 58) await who.inRoom("POST", room, "join");
    else if (dice < 63) await who.inRoom("POST", room, "leave");
    else if (dice < 67) await who.inRoom("POST", room, "kick", on);
    else if (dice < 70) await who.inRoom("POST", room, "ban", on);
    else if (dice < 73) await who.inRoom("POST", room, "unban", on);
    else if (dice < 75) await this.#leaveForGood(who, room);
    else if (dice < 87) await this.#changeRoom(who, room);
    else if (dice < 90) await this.#createRoom(who);
    else if (dice < 94) await this.#ignore(who, other);
    else await this.#personal(who, room);
  }

  /** What is forgotten without being left shows in no stream. */
  async #leaveForGood(who: Session, room: string): Promise<void> {
    await who.inRoom("POST", room, "leave");
    await who.inRoom("POST", room, "forget");
  }

  async #say(who: Session, room: string): Promise<void> {
    const eventId = await who.sendText(room, `${who.userId} says ${this.#random.below(1e6)}`);
    if (this.#random.below(8) === 0) await who.redact(room, eventId, "said too much");
  }

  async #changeRoom(who: Session, room: string): Promise<void> {
    const kinds: readonly (readonly [string, JsonObject])[] = [
      ["m.room.name", { name: `Name ${this.#random.below(1e6)}` }],
      ["m.room.topic", { topic: `Topic ${this.#random.below(1e6)}` }],
      ["m.room.avatar", { url: `mxc://hs1/${this.#random.below(1e6)}` }],
      ["m.room.join_rules", { join_rule: this.#random.pick(["public", "invite", "knock"]) }],
      [
        "m.room.history_visibility",
        { history_visibility: this.#random.pick(["joined", "invited", "shared", "world_readable"]) },
      ],
      ["org.example.thing", { number: this.#random.below(1e6) }],
    ];
    const [type, content] = this.#random.pick(kinds);
    await who.setState(room, type, content, type === "org.example.thing" ? `${this.#random.below(3)}` : "");
  }

  async #createRoom(who: Session): Promise<void> {
    const invite = this.#cast.filter(({ userId }) => userId !== who.userId && this.#random.below(2) === 0);
    const powers = Object.fromEntries(this.#cast.map(({ userId }) => [userId, this.#random.below(3) === 0 ? 50 : 0]));
    const room = await who.createRoom({
      preset: this.#random.pick(["public_chat", "private_chat"]),
      invite: invite.map(({ userId }) => userId),
      power_level_content_override: { users: { ...powers, [who.userId]: 100 } },
    });
    this.rooms.push(room);
    this.#members.set(room, new Set([who.userId]));
  }

  /** Every other user ignores nobody ever: what they were told can be compared in whole. */
  async #ignore(who: Session, other: Session): Promise<void> {
    const isOver = this.#cast.indexOf(who) % 2 === 0 || this.#random.below(2) === 0 || who.userId === other.userId;
    if (!isOver) this.everIgnored.add(who.userId);
    await who.setAccountData("m.ignored_user_list", { ignored_users: isOver ? {} : { [other.userId]: {} } });
  }

  async #personal(who: Session, room: string): Promise<void> {
    const dice = this.#random.below(3);
    if (dice === 0)
      await who.setAccountData("m.tag", { tags: { "m.favourite": { order: this.#random.unit() } } }, room);
    else if (dice === 1) await who.setAccountData("org.example.note", { note: this.#random.below(1e6) });
    else
      await who.call("PUT", `v3/profile/${encodeURIComponent(who.userId)}/displayname`, {
        displayname: `N${this.#random.below(1e6)}`,
      });
  }
}
