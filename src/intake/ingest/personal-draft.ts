import { createHash } from "node:crypto";
import { ChangeStream } from "../../model/change.ts";
import type { RoomId, RoomNid } from "../../model/ids.ts";
import { accountDataKey, type KnownAccountDatum, type KnownTyping, receiptKey } from "../../store/known-personal.ts";
import type { NewChange } from "../../store/publish.ts";
import { type AccountDatum, GLOBAL, type Receipt, SAME_TYPING, type Typing } from "../../store/user-facts.ts";
import type { EphemeralFacts, ReceiptFact } from "../response/ephemeral-facts.ts";
import type { AccountDataEvent } from "../response/room-section.ts";
import type { Contest } from "./contest.ts";
import type { Numbers, Source } from "./source.ts";

/** What is stored of account data, receipts and typing, as far as a fold may touch it. */
export interface KnownPersonal {
  /** By `accountDataKey`. */
  readonly accountData: ReadonlyMap<string, KnownAccountDatum>;
  /** Times in milliseconds, by `receiptKey`. */
  readonly receipts: ReadonlyMap<string, number>;
  readonly typing: ReadonlyMap<RoomNid, KnownTyping>;
}

/** Account data to be stored, and whose stream brought it: what one stream says later stands against what it said before. */
interface DraftedDatum extends AccountDatum {
  readonly digest: Buffer;
  readonly deviceNid: number;
}

/** Folds account data, receipts and typing into what is to be written. Pure: what is not news gets no batch. */
export class PersonalDraft {
  /** What is to be published. */
  readonly changes: NewChange[] = [];
  /** What the homeserver has to be asked. */
  readonly contests: Contest[] = [];
  readonly #known: KnownPersonal;
  readonly #numbers: Numbers;
  readonly #accountData = new Map<string, DraftedDatum>();
  readonly #receipts = new Map<string, Receipt>();
  readonly #typing = new Map<RoomNid, Typing>();

  constructor(known: KnownPersonal, numbers: Numbers) {
    this.#known = known;
    this.#numbers = numbers;
  }

  get writes(): { accountData: readonly AccountDatum[]; receipts: readonly Receipt[]; typing: readonly Typing[] } {
    return {
      accountData: [...this.#accountData.values()],
      receipts: [...this.#receipts.values()],
      typing: [...this.#typing.values()],
    };
  }

  /** `room` is {@link GLOBAL} for what belongs to none, and has a `roomId` else. */
  accountData(room: RoomNid, events: readonly AccountDataEvent[], source: Source, roomId?: RoomId): void {
    const { userNid, userId, deviceNid } = source;
    const news = events.flatMap((event) => {
      const key = accountDataKey(userNid, room, event.type);
      const digest = createHash("sha256").update(event.body).digest();
      const drafted = this.#accountData.get(key);
      const stored = this.#known.accountData.get(key);
      if ((drafted ?? stored)?.digest.equals(digest)) return [];
      const isNewer = drafted === undefined ? wasStoredBefore(stored, source) : drafted.deviceNid === deviceNid;
      if (isNewer) return [{ key, digest, ...event }];
      this.contests.push({ kind: "account-data", userNid, userId, roomId, type: event.type });
      return [];
    });
    if (news.length === 0) return;
    const batch = this.#numbers.batch();
    for (const { key, ...event } of news) this.#accountData.set(key, { userNid, room, ...event, batch, deviceNid });
    const where = room === GLOBAL ? {} : { room };
    this.changes.push({ batch, stream: ChangeStream.accountData, ...where, userNid, flags: 0 });
  }

  ephemeral(room: RoomNid, { receipts, typing }: EphemeralFacts): void {
    if (receipts.length > 0) this.#foldReceipts(room, receipts);
    if (typing !== undefined) this.#foldTyping(room, typing);
  }

  /** Receipts only move forward in time. */
  #foldReceipts(room: RoomNid, receipts: readonly ReceiptFact[]): void {
    const news = new Map<string, ReceiptFact>();
    for (const receipt of receipts) {
      const key = receiptKey(room, receipt);
      const before = (news.get(key) ?? this.#receipts.get(key))?.tsMs ?? this.#known.receipts.get(key);
      if (before === undefined || before < receipt.tsMs) news.set(key, receipt);
    }
    if (news.size === 0) return;
    const batch = this.#numbers.batch();
    for (const [key, receipt] of news) this.#receipts.set(key, { room, ...receipt, batch });
    this.changes.push({ batch, stream: ChangeStream.receipts, room, flags: 0 });
  }

  /** Who is heard again after they counted for silent begins to type; the end of it is news in any case. */
  #foldTyping(room: RoomNid, userIds: readonly string[]): void {
    const pending = this.#typing.get(room);
    const known = this.#known.typing.get(room);
    const before = pending?.userIds ?? known?.userIds ?? [];
    const begins = pending === undefined && known?.isOver === true && userIds.length > 0;
    if (!begins && before.join() === userIds.join()) {
      if (pending === undefined && known !== undefined) this.#typing.set(room, { room, userIds, batch: SAME_TYPING });
      return;
    }
    const batch = this.#numbers.batch();
    this.#typing.set(room, { room, userIds, batch });
    this.changes.push({ batch, stream: ChangeStream.typing, room, flags: 0 });
  }
}

/** A value that was stored while the request was under way may be the newer one. Where there is none, anything is newer. */
const wasStoredBefore = (known: KnownAccountDatum | undefined, { storedBefore }: Source): boolean =>
  known === undefined || known.position <= storedBefore;
