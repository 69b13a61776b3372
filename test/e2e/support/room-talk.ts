// What clients do in rooms, and what they show of it by the SDK's own models.
import { expect } from "@jest/globals";
import { EventType, type ICreateRoomOpts, type MatrixEvent, MsgType, RelationType } from "matrix-js-sdk";
import type { Session } from "../../support/room-life/api.ts";
import type { Robot } from "./client.ts";

/** Two clients in a room of the first one. */
export async function sharedRoom(owner: Robot, guest: Robot, options: ICreateRoomOpts = {}): Promise<string> {
  const { room_id: roomId } = await owner.sdk.createRoom({ invite: [guest.userId], ...options });
  await guest.until(() => guest.membership(roomId) === "invite", "the invite");
  await guest.sdk.joinRoom(roomId);
  await guest.until(() => guest.membership(roomId) === "join", "the joined room");
  await owner.until(() => owner.room(roomId)?.getMember(guest.userId)?.membership === "join", "the guest");
  return roomId;
}

export async function say(robot: Robot, roomId: string, text: string): Promise<string> {
  return (await robot.sdk.sendTextMessage(roomId, text)).event_id;
}

export const edit = async (robot: Robot, roomId: string, eventId: string, text: string): Promise<string> =>
  (await robot.sdk.sendMessage(roomId, editOf(eventId, text))).event_id;

export const editOf = (eventId: string, text: string) =>
  ({
    msgtype: MsgType.Text,
    body: `* ${text}`,
    "m.new_content": { msgtype: MsgType.Text, body: text },
    "m.relates_to": { rel_type: RelationType.Replace, event_id: eventId },
  }) as const;

export const react = async (robot: Robot, roomId: string, eventId: string, key: string): Promise<string> =>
  (await robot.sdk.sendEvent(roomId, EventType.Reaction, reactionTo(eventId, key))).event_id;

export const reactionTo = (eventId: string, key: string) =>
  ({ "m.relates_to": { rel_type: RelationType.Annotation, event_id: eventId, key } }) as const;

/** A message in a thread. */
export const reply = (session: Session, roomId: string, root: string, text: string): Promise<string> => {
  const relation = { rel_type: "m.thread", event_id: root };
  return session.send(roomId, "m.room.message", { msgtype: "m.text", body: text, "m.relates_to": relation });
};

export const eventOf = (robot: Robot, roomId: string, eventId: string): MatrixEvent | undefined =>
  robot.room(roomId)?.findEventById(eventId);

export const bodyOf = (robot: Robot, roomId: string, eventId: string): unknown =>
  eventOf(robot, roomId, eventId)?.getContent().body;

/** Senders by key. */
export type Reactions = Record<string, readonly (string | undefined)[]>;

export function reactions(robot: Robot, roomId: string, eventId: string): Reactions {
  const relations = robot.room(roomId)?.relations.getChildEventsForEvent(eventId, "m.annotation", "m.reaction");
  const byKey = relations?.getSortedAnnotationsByKey() ?? [];
  return Object.fromEntries(byKey.map(([key, events]) => [key, [...events].map((event) => event.getSender())]));
}

export const sameReactions = (one: Reactions, other: Reactions): boolean => sorted(one) === sorted(other);

const sorted = (all: Reactions): string =>
  JSON.stringify(
    Object.entries(all)
      .map(([key, senders]) => [key, senders.toSorted()])
      .toSorted(),
  );

/** The thread shows these events, and the last of them as its latest. */
export async function inThread(robot: Robot, roomId: string, root: string, events: readonly string[]): Promise<void> {
  const thread = () => robot.room(roomId)?.getThread(root);
  const shown = () => thread()?.events.map((event) => event.getId()) ?? [];
  await robot.until(() => shown().join() === events.join(), `in the thread: ${events}`);
  await robot.until(() => thread()?.replyToEvent?.getId() === events.at(-1), "the latest reply");
  expect(thread()?.rootEvent?.getId()).toBe(root);
  expect(thread()?.length).toBe(events.length - 1);
}

/** Rooms that a space holds. */
export const children = (robot: Robot, space: string): readonly string[] =>
  (robot.room(space)?.currentState.getStateEvents(EventType.SpaceChild) ?? [])
    .filter((event) => Array.isArray(event.getContent().via))
    .flatMap((event) => event.getStateKey() ?? []);
