import type { EventDraft, StoredEvent } from "../event.ts";
import { type AuthedCall, json, type Reply } from "../http/reply.ts";
import type { Router } from "../http/router.ts";
import type { JsonObject } from "../json.ts";
import { objectOr } from "../json.ts";
import { forbidden, MatrixError } from "../matrix-error.ts";
import { requireJoined } from "../membership.ts";
import { powerLevels } from "../power.ts";
import type { Room } from "../room.ts";
import type { World } from "../world.ts";

export function addSendRoutes(router: Router, world: World): void {
  router.authed("PUT", "/client/rooms/:room/send/:type/:txn", (call) =>
    once(call, () => {
      const { type = "", txn } = call.params;
      const redacts = type === "m.room.redaction" ? call.body.redacts : undefined;
      const draft = { type, content: call.body, redacts: typeof redacts === "string" ? redacts : undefined };
      return sendEvent(world, call, draft, txn);
    }),
  );
  router.authed("PUT", "/client/rooms/:room/redact/:event/:txn", (call) =>
    once(call, () => redact(world, call, call.params.txn)),
  );
  router.authed("POST", "/client/rooms/:room/redact/:event", (call) =>
    json({ event_id: redact(world, call, undefined).eventId }),
  );
  const putState = (call: AuthedCall) => {
    const { type = "", key = "" } = call.params;
    const event = sendState(world, call, type, key);
    return json({ event_id: event.eventId });
  };
  router.authed("PUT", "/client/rooms/:room/state/:type/:key", putState);
  router.authed("PUT", "/client/rooms/:room/state/:type", putState);
}

/** The same transaction id on the same path of the same device gives the first answer again and does nothing. */
function once(call: AuthedCall, act: () => StoredEvent): Reply {
  const known = call.device.transactions.get(call.path);
  if (known !== undefined) return json(known);
  const answer: JsonObject = { event_id: act().eventId };
  call.device.transactions.set(call.path, answer);
  return json(answer);
}

type Draft = Pick<EventDraft, "type" | "content" | "stateKey" | "redacts" | "oddity">;

function sendEvent(world: World, call: AuthedCall, draft: Draft, txnId: string | undefined): StoredEvent {
  const { user, deviceId } = call.device;
  const room = joinedRoom(world, call);
  checkContent(draft);
  const needed = powerLevels(room).toSend(draft.type, draft.stateKey !== undefined);
  if (!isOwnJoin(draft, user.userId) && powerLevels(room).of(user.userId) < needed) {
    throw forbidden(
      `You don't have permission to post that to the room. user_level (${powerLevels(room).of(user.userId)}) < send_level (${needed})`,
    );
  }
  if (draft.stateKey?.startsWith("@") === true && draft.stateKey !== user.userId && draft.type !== "m.room.member") {
    throw forbidden("You are not allowed to set others state");
  }
  const sentBy = txnId === undefined ? undefined : { userId: user.userId, deviceId, txnId };
  return world.append(room, { ...draft, sender: user.userId, sentBy });
}

/** How a user shows themselves in a room asks for no power. */
function isOwnJoin({ type, stateKey, content }: Draft, userId: string): boolean {
  return type === "m.room.member" && stateKey === userId && content.membership === "join";
}

/** Texts without which Synapse takes no event of the type. */
const NEEDED_TEXTS: Readonly<Record<string, readonly string[]>> = {
  "m.room.message": ["body", "msgtype"],
  "m.room.name": ["name"],
  "m.room.topic": ["topic"],
};

function checkContent({ type, content }: Draft): void {
  for (const name of NEEDED_TEXTS[type] ?? []) {
    if (content[name] === undefined) throw new MatrixError(400, "M_UNKNOWN", `'${name}' not in content`);
    if (typeof content[name] !== "string") throw new MatrixError(400, "M_UNKNOWN", `'${name}' not a string type`);
  }
}

function sendState(world: World, call: AuthedCall, type: string, stateKey: string): StoredEvent {
  const current = joinedRoom(world, call).state(type, stateKey);
  // Synapse makes no event of a state change that changes nothing.
  const isSame = current?.sender === call.device.user.userId && sameJson(current.content, call.body);
  if (current !== undefined && isSame) return current;
  return sendEvent(world, call, { type, stateKey, content: call.body }, undefined);
}

function redact(world: World, call: AuthedCall, txnId: string | undefined): StoredEvent {
  const { event: redacts = "" } = call.params;
  const room = joinedRoom(world, call);
  const target = world.events.get(redacts);
  const { user } = call.device;
  // What is not known here may still be redacted: it could come from another server later.
  if (
    target !== undefined &&
    target.sender !== user.userId &&
    powerLevels(room).of(user.userId) < powerLevels(room).redact
  ) {
    throw forbidden("You don't have permission to redact events");
  }
  const content = { ...objectOr(call.body), redacts };
  const oddity = target === undefined ? { withheld: true } : undefined;
  return sendEvent(world, call, { type: "m.room.redaction", content, redacts, oddity }, txnId);
}

function joinedRoom(world: World, { device, params }: AuthedCall): Room {
  const room = world.rooms.get(params.room ?? "");
  if (room === undefined) throw forbidden(`User ${device.user.userId} not in room ${params.room}`);
  requireJoined(room, device.user.userId);
  return room;
}

function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort()
      .map(([name, part]) => [name, sorted(part)]),
  );
}
