// What happens in rooms, as two clients show it.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { EventType, type ICreateRoomOpts, Preset, RoomType } from "matrix-js-sdk";
import type { Session } from "../support/room-life/api.ts";
import type { Robot } from "./support/client.ts";
import { OpenList, untilListed } from "./support/listed.ts";
import {
  bodyOf,
  children,
  edit,
  editOf,
  eventOf,
  inThread,
  type Reactions,
  react,
  reactions,
  reactionTo,
  reply,
  sameReactions,
  say,
  sharedRoom,
} from "./support/room-talk.ts";
import { withLogs } from "./support/server-process.ts";
import { type Stage, startNativeStage, startSlidecarStage } from "./support/stage.ts";

/** How often an ignored user and another one speak by turns. */
const TURNS = 10;

describe.each([
  ["the homeserver's own sliding sync", startNativeStage],
  ["Slidecar", startSlidecarStage],
] as const)("with %s", (_, start) => {
  const life = new AsyncDisposableStack();
  let stage: Stage;
  let alice: Robot;
  let bob: Robot;
  let alicesPhone: Session;
  let bobsPhone: Session;

  beforeAll(async () => {
    stage = life.use(await start());
    alicesPhone = await stage.register("alice");
    bobsPhone = await stage.register("bob");
    alice = life.use(await stage.client("alice", { threads: true }));
    bob = life.use(await stage.client("bob", { threads: true }));
  });
  afterAll(() => life.disposeAsync());

  const lives = (title: string, scene: () => Promise<void>) => test(title, () => withLogs([stage], scene));

  lives("a message is edited twice, and has its first edit again when the second is redacted", async () => {
    const roomId = await sharedRoom(alice, bob);
    const original = await say(alice, roomId, "one");
    await bothShow(roomId, original, "one");
    const first = await edit(alice, roomId, original, "two");
    await bothShow(roomId, original, "two");
    const second = await edit(alice, roomId, original, "three");
    await bothShow(roomId, original, "three");
    expect(eventOf(bob, roomId, original)?.replacingEventId()).toBe(second);
    await alice.sdk.redactEvent(roomId, second);
    await bothShow(roomId, original, "two");
    expect(eventOf(bob, roomId, original)?.replacingEventId()).toBe(first);
    await edit(bob, roomId, original, "not mine");
    const last = await say(bob, roomId, "last");
    await bothShow(roomId, last, "last");
    await bothShow(roomId, original, "two");
    await using late = await stage.client("bob");
    await late.until(() => bodyOf(late, roomId, last) === "last", "the room on a new device");
    expect(bodyOf(late, roomId, original)).toBe("two");
  });

  async function bothShow(roomId: string, eventId: string, text: string): Promise<void> {
    for (const robot of [alice, bob]) await robot.until(() => bodyOf(robot, roomId, eventId) === text, text);
  }

  lives("a message that is shown is redacted, and shown by nobody from then on", async () => {
    const roomId = await sharedRoom(alice, bob);
    const secret = await say(bob, roomId, "secret");
    const after = await say(bob, roomId, "after");
    await bothShow(roomId, secret, "secret");
    await bothShow(roomId, after, "after");
    const { event_id: redaction } = await alice.sdk.redactEvent(roomId, secret, undefined, { reason: "not here" });
    await using late = await stage.client("alice");
    for (const robot of [alice, bob, late]) {
      await robot.until(() => eventOf(robot, roomId, secret)?.isRedacted() === true, "the redaction");
      const event = eventOf(robot, roomId, secret);
      expect(event?.getContent()).toEqual({});
      expect(event?.getUnsigned().redacted_because?.event_id).toBe(redaction);
      expect(event?.getRedactionEvent()?.content?.reason).toBe("not here");
      expect(bodyOf(robot, roomId, after)).toBe("after");
      expect(robot.timelineIds(roomId).filter((id) => id === secret)).toEqual([secret]);
    }
  });

  lives("reactions are counted by key and sender until they are redacted", async () => {
    const roomId = await sharedRoom(alice, bob);
    const message = await say(alice, roomId, "react to this");
    const thumb = await react(bob, roomId, message, "👍");
    await react(alice, roomId, message, "👍");
    await react(alice, roomId, message, "🎉");
    const all = { "👍": [alice.userId, bob.userId], "🎉": [alice.userId] };
    const shows = (robot: Robot, expected: Reactions) =>
      robot.until(() => sameReactions(reactions(robot, roomId, message), expected), JSON.stringify(expected));
    for (const robot of [alice, bob]) await shows(robot, all);
    await bob.sdk.redactEvent(roomId, thumb);
    const left = { "👍": [alice.userId], "🎉": [alice.userId] };
    for (const robot of [alice, bob]) await shows(robot, left);
    await using late = await stage.client("bob");
    await shows(late, left);
    expect(eventOf(late, roomId, thumb)?.isRedacted()).toBe(true);
  });

  // In threads they speak by other devices: the SDK throws when an answer with an own event there is quicker than the one to its sending.
  lives("a reply in a thread is shown there and nowhere else, with root and latest event", async () => {
    const roomId = await sharedRoom(alice, bob);
    const root = await say(alice, roomId, "root");
    await bothShow(roomId, root, "root");
    const first = await reply(bobsPhone, roomId, root, "first");
    for (const robot of [alice, bob]) await inThread(robot, roomId, root, [root, first]);
    const second = await reply(alicesPhone, roomId, root, "second");
    const beside = await say(bob, roomId, "beside");
    await bothShow(roomId, beside, "beside");
    for (const robot of [alice, bob]) {
      await inThread(robot, roomId, root, [root, first, second]);
      expect(bodyOf(robot, roomId, root)).toBe("root");
      const shown = robot.timelineIds(roomId);
      expect(shown.filter((id) => [root, first, second, beside].includes(id))).toEqual([root, beside]);
      expect(
        robot
          .room(roomId)
          ?.getThreads()
          .map(({ id }) => id),
      ).toEqual([root]);
    }
  });

  lives("a thread lives with edits, reactions and redactions, also on a device that comes late", async () => {
    const roomId = await sharedRoom(alice, bob);
    const [older, newer] = [await say(alice, roomId, "older"), await say(alice, roomId, "newer")];
    await reply(bobsPhone, roomId, newer, "in newer");
    const kept = await reply(bobsPhone, roomId, older, "kept");
    for (const robot of [alice, bob]) await inThread(robot, roomId, older, [older, kept]);
    const gone = await reply(alicesPhone, roomId, older, "gone");
    for (const robot of [alice, bob]) await inThread(robot, roomId, older, [older, kept, gone]);
    await bobsPhone.send(roomId, EventType.RoomMessage, editOf(kept, "edited"));
    await alicesPhone.send(roomId, EventType.Reaction, reactionTo(kept, "👍"));
    await alicesPhone.redact(roomId, gone, "not here");
    await using late = await stage.client("bob", { threads: true });
    for (const robot of [alice, bob, late]) {
      const thread = () => robot.room(roomId)?.getThread(older);
      await robot.until(() => thread()?.findEventById(kept)?.getContent().body === "edited", "the edit");
      await robot.until(() => thread()?.replyToEvent?.getId() === kept, "one reply left");
      expect(thread()?.findEventById(gone)?.getContent().body).toBeUndefined();
      const byKey = thread()?.timelineSet.relations.getChildEventsForEvent(kept, "m.annotation", "m.reaction");
      expect(byKey?.getSortedAnnotationsByKey()?.map(([key, events]) => [key, events.size])).toEqual([["👍", 1]]);
    }
    await late.room(roomId)?.createThreadsTimelineSets();
    await late.room(roomId)?.fetchRoomThreads();
    const listed = late.room(roomId)?.threadsTimelineSets[0]?.getLiveTimeline().getEvents();
    expect(listed?.map((event) => event.getId())).toEqual([newer, older]);
  });

  lives("a member is kicked, comes back, is banned and unbanned, and comes back again", async () => {
    const roomId = await sharedRoom(alice, bob, { preset: Preset.PublicChat });
    const bobs = (robot: Robot) => robot.room(roomId)?.getMember(bob.userId);
    const bothKnow = async (membership: string) => {
      for (const robot of [alice, bob]) await robot.until(() => bobs(robot)?.membership === membership, membership);
      await bob.until(() => bob.membership(roomId) === membership, membership);
    };
    await alice.sdk.kick(roomId, bob.userId, "enough");
    await bothKnow("leave");
    expect(bobs(bob)?.events.member?.getSender()).toBe(alice.userId);
    expect(bobs(bob)?.events.member?.getContent().reason).toBe("enough");
    const missed = await say(alice, roomId, "while he was away");
    await bob.sdk.joinRoom(roomId);
    await bothKnow("join");
    await bothShow(roomId, missed, "while he was away");
    await alice.sdk.ban(roomId, bob.userId);
    await bothKnow("ban");
    await expect(bob.sdk.joinRoom(roomId)).rejects.toMatchObject({ httpStatus: 403 });
    const behind = await say(alice, roomId, "behind his back");
    const elsewhere = await sharedRoom(alice, bob);
    await using late = await stage.client("bob");
    await late.until(() => late.membership(elsewhere) === "join" && late.membership(roomId) === "ban", "the ban");
    for (const robot of [bob, late]) expect(robot.timelineIds(roomId)).not.toContain(behind);
    await alice.sdk.unban(roomId, bob.userId);
    await bothKnow("leave");
    await bob.sdk.joinRoom(roomId);
    await bothKnow("join");
    await bothShow(roomId, await say(bob, roomId, "back again"), "back again");
    await bothShow(roomId, behind, "behind his back");
    const { chunk } = await bobsPhone.inRoom<{ chunk: { event_id: string }[] }>(
      "GET",
      roomId,
      "messages?dir=b&limit=100",
    );
    for (const robot of [alice, bob]) {
      expect(robot.timelineIds(roomId)).toEqual(chunk.map((event) => event.event_id).reverse());
    }
  });

  lives("a knock shows on both sides, is taken back and refused, and in the end answered by an invite", async () => {
    const rules = { type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } };
    const { room_id: roomId } = await alice.sdk.createRoom({ name: "Club", initial_state: [rules] });
    await alice.until(() => alice.membership(roomId) === "join", "the new room");
    const bobs = () => alice.room(roomId)?.getMember(bob.userId);
    const bothKnow = async (membership: string) => {
      await bob.until(() => bob.membership(roomId) === membership, membership);
      await alice.until(() => bobs()?.membership === membership, membership);
    };
    const knock = async () => {
      await bob.sdk.knockRoom(roomId, { reason: "let me in" });
      await bothKnow("knock");
      expect(bob.room(roomId)?.name).toBe("Club");
      expect(bobs()?.events.member?.getContent().reason).toBe("let me in");
    };
    await knock();
    await bob.sdk.leave(roomId);
    await bothKnow("leave");
    await knock();
    await alice.sdk.kick(roomId, bob.userId);
    await bothKnow("leave");
    await knock();
    await alice.sdk.invite(roomId, bob.userId);
    await bothKnow("invite");
    await bob.sdk.joinRoom(roomId);
    await bothKnow("join");
    await bothShow(roomId, await say(bob, roomId, "thank you"), "thank you");
    expect(bob.room(roomId)?.getJoinRule()).toBe("knock");
  });

  lives("a room is upgraded, twice: its successor is joined and stands for it in lists", async () => {
    const oldest = await sharedRoom(alice, bob, { name: "Square", preset: Preset.PublicChat, room_version: "10" });
    const upgraded = async (roomId: string, version: string) => {
      const { replacement_room: successor } = await alice.sdk.upgradeRoom(roomId, version);
      await bob.until(() => bob.state(roomId, "m.room.tombstone")?.replacement_room === successor, "the tombstone");
      expect(bob.membership(successor)).toBeUndefined();
      await bob.sdk.joinRoom(successor);
      for (const robot of [alice, bob]) {
        await robot.until(() => robot.room(successor)?.name === "Square", "the successor");
        expect(robot.membership(successor)).toBe("join");
        expect(robot.room(successor)?.findPredecessor()?.roomId).toBe(roomId);
        expect(robot.room(successor)?.getVersion()).toBe(version);
      }
      return successor;
    };
    const middle = await upgraded(oldest, "11");
    // From this version on ids of rooms name no server.
    const newest = await upgraded(middle, "12");
    for (const robot of [alice, bob]) {
      const chain = robot.sdk.getRoomUpgradeHistory(oldest, true);
      expect(chain.map((room) => room.roomId)).toEqual([oldest, middle, newest]);
      const visible = robot.sdk.getVisibleRooms().map((room) => room.roomId);
      expect(visible.filter((roomId) => [oldest, middle, newest].includes(roomId))).toEqual([newest]);
    }
    await bothShow(newest, await say(bob, newest, "here we are"), "here we are");
  });

  lives("a space in a space with a room is walked through from outside, and loses its room again", async () => {
    const make = async (name: string, options: ICreateRoomOpts = {}) =>
      (await alice.sdk.createRoom({ name, preset: Preset.PublicChat, ...options })).room_id;
    const space = { creation_content: { type: RoomType.Space } };
    const garden = await make("Garden", { ...space, invite: [bob.userId] });
    const [shed, shelf] = [await make("Shed", space), await make("Shelf")];
    const place = (parent: string, child: string, content: object = { via: ["hs1"] }) =>
      alice.sdk.sendStateEvent(parent, EventType.SpaceChild, content, child);
    await place(garden, shed);
    await place(shed, shelf);
    await alice.sdk.sendStateEvent(shelf, EventType.SpaceParent, { via: ["hs1"], canonical: true }, shed);
    await bob.until(() => bob.invites().includes(garden), "the invite");
    expect([bob.room(garden)?.name, bob.room(garden)?.isSpaceRoom()]).toEqual(["Garden", true]);
    const { rooms } = await bob.sdk.getRoomHierarchy(garden);
    expect(rooms.map(({ name, room_type: type }) => [name, type])).toEqual([
      ["Garden", RoomType.Space],
      ["Shed", RoomType.Space],
      ["Shelf", undefined],
    ]);
    for (const [roomId, inside] of [
      [garden, [shed]],
      [shed, [shelf]],
      [shelf, []],
    ] as const) {
      await bob.sdk.joinRoom(roomId);
      await bob.until(
        () => bob.membership(roomId) === "join" && children(bob, roomId).join() === inside.join(),
        "inside",
      );
    }
    const bothSee = async (holds: (robot: Robot) => boolean, what: string) => {
      for (const robot of [alice, bob]) await robot.until(() => holds(robot), what);
    };
    await bothSee((robot) => children(robot, shed).join() === shelf, "the shed's shelf");
    for (const robot of [alice, bob]) {
      expect([garden, shed, shelf].map((roomId) => robot.room(roomId)?.name)).toEqual(["Garden", "Shed", "Shelf"]);
      expect([garden, shed, shelf].map((roomId) => robot.room(roomId)?.isSpaceRoom())).toEqual([true, true, false]);
      expect(robot.state(shelf, EventType.SpaceParent, shed)?.canonical).toBe(true);
    }
    await alice.sdk.setRoomName(shelf, "Upper shelf");
    await bothSee((robot) => robot.room(shelf)?.name === "Upper shelf", "the child's new name");
    await place(shed, shelf, {});
    await bothSee((robot) => children(robot, shed).length === 0, "the empty shed");
  });

  lives("who is ignored is not heard any more, nor are their invites, until they are ignored no longer", async () => {
    const [dora, erin, carl] = [
      await stage.register("dora"),
      await stage.register("erin"),
      await stage.register("carl"),
    ];
    await using dorasClient = await stage.client("dora");
    await using erinsClient = await stage.client("erin");
    const roomId = await dora.createRoom({
      preset: Preset.PublicChat,
      power_level_content_override: { events: { "m.room.topic": 0 } },
    });
    for (const guest of [erin, carl]) await guest.inRoom("POST", roomId, "join");
    const shows = (robot: Robot, eventId: string) => robot.timelineIds(roomId).includes(eventId);
    const before = await carl.sendText(roomId, "before");
    for (const robot of [dorasClient, erinsClient]) await robot.until(() => shows(robot, before), "before");
    const ignore = (...userIds: string[]) => {
      const content = { ignored_users: Object.fromEntries(userIds.map((userId) => [userId, {}])) };
      return dora.at(stage.url).setAccountData("m.ignored_user_list", content);
    };
    await ignore(carl.userId);
    const ignored: string[] = [];
    const heard: string[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      ignored.push(await carl.sendText(roomId, `ignored ${turn}`));
      heard.push(await erin.sendText(roomId, `heard ${turn}`));
    }
    await erinsClient.until(() => [...ignored, ...heard].every((id) => shows(erinsClient, id)), "all messages");
    await dorasClient.until(() => heard.every((id) => shows(dorasClient, id)), "Erin's messages");
    expect(ignored.filter((id) => shows(dorasClient, id))).toEqual([]);
    await carl.setState(roomId, "m.room.topic", { topic: "state counts" });
    await dorasClient.until(() => dorasClient.state(roomId, "m.room.topic")?.topic === "state counts", "the topic");
    const unwanted = await carl.createRoom({ invite: [dora.userId, erin.userId] });
    const wanted = await erin.createRoom({ invite: [dora.userId] });
    await erinsClient.until(() => erinsClient.invites().includes(unwanted), "Carl's invite");
    await dorasClient.until(() => dorasClient.invites().includes(wanted), "Erin's invite");
    expect(dorasClient.invites()).toEqual([wanted]);
    await using late = await stage.client("dora");
    await late.until(() => heard.every((id) => shows(late, id)), "Erin's messages on a new device");
    expect([before, ...ignored].filter((id) => shows(late, id))).toEqual([]);
    expect(late.invites()).toEqual([wanted]);
    await ignore();
    const again = await carl.sendText(roomId, "again");
    for (const robot of [dorasClient, late]) await robot.until(() => shows(robot, again), "Carl again");
  });

  lives("favourites are listed by their tag as long as they have it", async () => {
    const session = (await stage.register("fred")).at(stage.url);
    const [first, second, other] = [
      await session.createRoom({}),
      await session.createRoom({}),
      await session.createRoom({}),
    ];
    const path = (roomId: string) =>
      `v3/user/${encodeURIComponent(session.userId)}/rooms/${encodeURIComponent(roomId)}/tags/m.favourite`;
    const favourites = { tags: ["m.favourite"] };
    const rest = { not_tags: ["m.favourite"] };
    const open = new OpenList(session, favourites);
    await open.until([]);
    await untilListed(session, rest, [first, second, other]);
    await session.call("PUT", path(first), { order: 0.5 });
    await open.until([first]);
    await session.call("PUT", path(second), {});
    await open.until([first, second]);
    await untilListed(session, favourites, [first, second]);
    await untilListed(session, rest, [other]);
    await session.call("DELETE", path(first));
    await untilListed(session, favourites, [second]);
    await untilListed(session, rest, [first, other]);
  });

  lives("direct chats are named after the other, and flagged and listed apart while m.direct has them", async () => {
    const [hans, ines] = [(await stage.register("hans")).at(stage.url), await stage.register("ines")];
    await using client = await stage.client("ines");
    const other = await hans.createRoom({});
    const chat = await hans.createRoom({ is_direct: true, preset: Preset.TrustedPrivateChat, invite: [ines.userId] });
    await client.until(() => client.invites().includes(chat), "the invite");
    expect([client.room(chat)?.getDMInviter(), client.room(chat)?.name]).toEqual([hans.userId, "hans"]);
    await client.sdk.joinRoom(chat);
    await client.until(() => client.membership(chat) === "join", "the chat");
    expect([client.room(chat)?.getDMInviter(), client.room(chat)?.name]).toEqual([hans.userId, "hans"]);
    const open = new OpenList(hans, { is_dm: true });
    await open.until([]);
    await hans.setAccountData("m.direct", { [ines.userId]: [chat] });
    await open.until([chat]);
    expect((await untilListed(hans, { is_dm: true }, [chat]))[chat]?.is_dm).toBe(true);
    expect((await untilListed(hans, { is_dm: false }, [other]))[other]?.is_dm ?? false).toBe(false);
    await hans.setAccountData("m.direct", {});
    await untilListed(hans, { is_dm: true }, []);
    const all = await untilListed(hans, { is_dm: false }, [other, chat]);
    expect(all[chat]?.is_dm ?? false).toBe(false);
  });
});
