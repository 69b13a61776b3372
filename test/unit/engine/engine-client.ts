import { assembleSync, type SyncOutcome } from "../../../src/engine/assemble.ts";
import {
  decodeDelta,
  decodeState,
  encodeDelta,
  encodeState,
  isEmptyDelta,
} from "../../../src/engine/connection/delta.ts";
import { MutableConnectionState } from "../../../src/engine/connection/mutable-state.ts";
import { type HoldWindow, keepBack } from "../../../src/engine/keep-back.ts";
import { memberReads } from "../../../src/engine/members.ts";
import { extensionReads, planSync } from "../../../src/engine/plan.ts";
import type { SyncRequest } from "../../../src/engine/request.ts";
import type { RoomAnswer } from "../../../src/engine/response.ts";
import { heroReads } from "../../../src/engine/rooms/heroes.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import type { TestRoom, TestWorld } from "../../support/engine.ts";

/** One answer, as a test looks at it. */
export class Answer {
  readonly outcome: SyncOutcome;
  readonly to: StreamPosition;
  /** Of the first event that keeps a room back. */
  readonly keptBackSince: StreamPosition | undefined;

  constructor(outcome: SyncOutcome, to: StreamPosition, keptBackSince: StreamPosition | undefined) {
    this.outcome = outcome;
    this.to = to;
    this.keptBackSince = keptBackSince;
  }

  get rooms(): readonly RoomAnswer[] {
    return this.outcome.response.rooms;
  }

  /** Whether what the client has been told changes. */
  get writes(): boolean {
    return !isEmptyDelta(this.outcome.delta);
  }

  room(room: TestRoom): RoomAnswer {
    const answer = this.find(room);
    if (answer === undefined) throw new Error(`${room.roomId} is not in the answer`);
    return answer;
  }

  find(room: TestRoom): RoomAnswer | undefined {
    return this.rooms.find(({ roomId }) => roomId === room.roomId);
  }

  timeline(room: TestRoom): readonly string[] {
    return this.room(room).timeline?.events.map(({ event }) => event.eventId) ?? [];
  }

  state(room: TestRoom): readonly string[] {
    return this.room(room).requiredState.map(({ type, stateKey }) => `${type} ${stateKey}`.trim());
  }
}

/** A client on one connection, and the shell around the engine: what was told goes through its encoding each time. */
export class EngineClient {
  readonly #world: TestWorld;
  #confirmed = new MutableConnectionState();
  #from: StreamPosition | undefined;
  /** undefined: all is long ago. */
  window: HoldWindow | undefined;

  constructor(world: TestWorld) {
    this.#world = world;
  }

  get told(): MutableConnectionState {
    return this.#confirmed;
  }

  /** Asks and, by asking again later, confirms. */
  sync(request: SyncRequest): Answer {
    const answer = this.lose(request);
    this.confirm(answer);
    return answer;
  }

  /** Asks and never learns the answer. */
  lose(request: SyncRequest): Answer {
    const to = this.#world.position;
    const connection = decodeState(encodeState(this.#confirmed));
    const whole = planSync({ request, connection, from: this.#from, to, view: this.#world.view() });
    const read = this.#world.read(whole.reads, to);
    const window = this.window ?? { after: to, longAfter: to, sentAfterMs: 0 };
    const { plan, since } = keepBack(whole, read, window);
    const data = this.#world.withHeroes(read, heroReads(plan, read));
    const members = this.#world.readMembers(memberReads(plan, data), to);
    const extensions = this.#world.readExtensions(extensionReads(plan, data), to);
    return new Answer(assembleSync(plan, { data, members, extensions }, window.after), to, since);
  }

  confirm(answer: Answer): void {
    this.#confirmed.apply(decodeDelta(encodeDelta(answer.outcome.delta)));
    this.#from = answer.to;
  }
}
