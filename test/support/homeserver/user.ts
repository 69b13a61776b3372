import type { Membership, StoredEvent } from "./event.ts";
import type { JsonObject } from "./json.ts";

export interface AccountDataEntry {
  readonly content: JsonObject;
  readonly position: number;
}

export interface TagsEntry {
  readonly tags: JsonObject;
  readonly position: number;
}

/** A user's own membership in a room, which outlives what the room's current state says of them. */
export interface OwnMembership {
  readonly membership: Membership;
  readonly event: StoredEvent;
  readonly forgotten: boolean;
}

export interface InboxMessage {
  readonly position: number;
  readonly message: JsonObject;
}

export class Device {
  readonly user: User;
  readonly deviceId: string;
  /** Undelivered to-device messages; a row goes when a `since` at or after it is used. */
  inbox: InboxMessage[] = [];
  deviceKeys: JsonObject | undefined;
  readonly oneTimeKeys = new Map<string, unknown>();
  readonly fallbackKeys = new Map<string, { readonly keyId: string; readonly key: unknown; used: boolean }>();
  /** Answers to requests with a transaction id, by path. */
  readonly transactions = new Map<string, JsonObject>();

  constructor(user: User, deviceId: string) {
    this.user = user;
    this.deviceId = deviceId;
  }

  /** Synapse always names `signed_curve25519`, at 0 as well. */
  oneTimeKeyCounts(): JsonObject {
    const counts: Record<string, number> = { signed_curve25519: 0 };
    for (const keyId of this.oneTimeKeys.keys()) {
      const algorithm = keyId.slice(0, keyId.indexOf(":"));
      counts[algorithm] = (counts[algorithm] ?? 0) + 1;
    }
    return counts;
  }

  unusedFallbackKeyTypes(): string[] {
    return [...this.fallbackKeys].filter(([, { used }]) => !used).map(([algorithm]) => algorithm);
  }
}

export class User {
  readonly userId: string;
  readonly localpart: string;
  password: string;
  displayname: string | undefined;
  avatarUrl: string | undefined;
  readonly devices = new Map<string, Device>();
  readonly accountData = new Map<string, AccountDataEntry>();
  readonly roomAccountData = new Map<string, Map<string, AccountDataEntry>>();
  readonly tags = new Map<string, TagsEntry>();
  readonly memberships = new Map<string, OwnMembership>();
  /** Every member event about this user, in the order of the stream. */
  readonly membershipEvents: StoredEvent[] = [];
  /** Rooms with account data or tags, newest change last, so that news since a position is found from the end. */
  readonly roomDataLog: { readonly position: number; readonly roomId: string }[] = [];
  readonly filters: JsonObject[] = [];
  ignored: ReadonlySet<string> = new Set();
  /** Everybody who was ever ignored. */
  readonly hasIgnored = new Set<string>();
  ignoredPosition = 0;
  /** The user's own push rules, by kind; Synapse's defaults stand beside them. */
  readonly pushRules = new Map<string, JsonObject[]>();
  /** What the user changed of a rule, by kind and id. */
  readonly pushRuleChanges = new Map<string, JsonObject>();
  pushRulesPosition = 0;
  deviceListPosition = 0;

  constructor(userId: string, localpart: string, password: string) {
    this.userId = userId;
    this.localpart = localpart;
    this.password = password;
    this.displayname = localpart;
  }

  isJoined(roomId: string): boolean {
    return this.memberships.get(roomId)?.membership === "join";
  }

  joinedRooms(): string[] {
    return [...this.memberships].filter(([, own]) => own.membership === "join").map(([roomId]) => roomId);
  }
}
