// The other sliding syncs of the SDK: the one for keys, and those of a push that is shown while the app sleeps.
import type { Session } from "../../support/room-life/api.ts";
import { encryptionBody, notificationBody } from "./requests.ts";
import type { DecodedAnswer } from "./ruma-answer.ts";
import { SlidingSync } from "./sliding-sync.ts";

interface Patience {
  readonly pollMs: number;
  readonly networkMs: number;
}

const APP: Patience = { pollMs: 30_000, networkMs: 30_000 };
const PUSH_KEYS: Patience = { pollMs: 3_000, networkMs: 4_000 };
const PUSH: Patience = { pollMs: 1_000, networkMs: 3_000 };

/** The SDK's `EncryptionSyncService`: the app's own, or a push's, under the same `conn_id`. */
export class EncryptionSyncService extends SlidingSync {
  readonly #pollMs: number;
  /** Up to where the client has its to-device messages. */
  #since: string | undefined;

  constructor(url: string, session: Session, of: "app" | "push") {
    const { pollMs, networkMs } = of === "app" ? APP : PUSH_KEYS;
    super(url, session, pollMs + networkMs);
    this.#pollMs = pollMs;
  }

  protected override next() {
    return { timeoutMs: this.#pollMs, body: encryptionBody(this.#since) };
  }

  override adopt(answer: DecodedAnswer): void {
    this.#since = answer.extensions?.to_device?.next_batch ?? this.#since;
    super.adopt(answer);
  }
}

/** The SDK's `NotificationClient` as it fetches the event that a push names: a new connection each time. */
export class NotificationClient extends SlidingSync {
  readonly #roomId: string;

  constructor(url: string, session: Session, roomId: string) {
    super(url, session, PUSH.pollMs + PUSH.networkMs);
    this.#roomId = roomId;
  }

  protected override next() {
    return { timeoutMs: PUSH.pollMs, body: notificationBody([this.#roomId]) };
  }
}
