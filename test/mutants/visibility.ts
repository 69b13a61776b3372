import type { Mutant } from "./mutant.ts";

const INGEST = "src/intake/ingest";
const VISIBILITY = "test/properties/visibility.property.test.ts";
const SCENES = "test/service/visibility.test.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "who is in a room is shown others' private receipts",
    file: "src/engine/extensions/receipts.ts",
    find: "if (type === PRIVATE || view.own.ignored.has(userId)) return false;",
    replace: "if (view.own.ignored.has(userId)) return false;",
    test: VISIBILITY,
  },
  {
    name: "who comes in is told who read what was for members before",
    file: "src/engine/extensions/receipts.ts",
    find: "return isVisible({ visibility, orderKey }, { isJoined: true, sinceOrderKey });",
    replace: "return true;",
    test: VISIBILITY,
  },
  {
    name: "who comes in is shown what was for members before",
    file: "src/engine/rooms/timeline.ts",
    find: "return event.orderKey >= (sinceOrderKey ?? ORDER_KEY_STEP);",
    replace: "return true;",
    test: VISIBILITY,
  },
  {
    name: "who left is told name, picture and counts of now",
    file: "src/engine/rooms/room-plan.ts",
    find: 'const isJoined = sentAs(rooms.membership(index)) === "joined";',
    replace: "const isJoined = sentAs(rooms.membership(index)) !== undefined;",
    test: VISIBILITY,
  },
  {
    name: "who left is told the end of the room as it is now",
    file: "src/engine/rooms/room-plan.ts",
    find: "    upToOrderKey: sinceOrderKey,\n",
    replace: "",
    test: VISIBILITY,
  },
  {
    name: "a departure acts only where it is what the user is now",
    file: `${INGEST}/departures.ts`,
    find: "return isPlaced && orderKey >=",
    replace: "return isPlaced && !draft.events.isNew(event.eventId) && orderKey >=",
    test: SCENES,
  },
  {
    name: "a departure that only somebody was told who left is known ever after, and acts never",
    file: `${INGEST}/departures.ts`,
    find: "|| hasBecome(draft, before.userId, nid);",
    replace: ";",
    test: "test/unit/intake/departures.test.ts",
  },
  {
    name: "a departure that follows one which a gap hides ends the stay where it stands",
    file: `${INGEST}/own-membership.ts`,
    find: "wasOutBefore(departure) ? undefined : events.orderKeyOf(departure.eventId);",
    replace: "events.orderKeyOf(departure.eventId);",
    test: "test/unit/intake/departures.test.ts",
  },
  {
    name: "a slow stream lets in who was sent away before it",
    file: `${INGEST}/own-membership.ts`,
    find: "if (before === undefined) return claimed !== Membership.join || last === undefined || isNow(draft, last, source);",
    replace: "if (before === undefined) return true;",
    test: SCENES,
  },
  {
    name: "who was kicked and is banned is shown what was between",
    file: `${INGEST}/own-membership.ts`,
    find: "return before.sinceOrderKey ?? (known && endOfStayAt(word.draft, known));",
    replace: "return (known && before.sinceOrderKey) ?? events.orderKeyOf(own.at(-1)!.eventId);",
    test: "test/unit/intake/own-membership.test.ts",
  },
  {
    name: "what is read while the reader is put out of the room is shown",
    file: "src/sync/sync-service.ts",
    find: "if (computed.movedAt !== undefined) {",
    replace: "if (computed.movedAt !== undefined && computed.movedAt < BEFORE_ALL) {",
    test: "test/service/sync-membership.test.ts",
  },
  {
    name: "messages of ignored users are shown where others bring them",
    file: "src/engine/rooms/timeline.ts",
    find: "stateKey === undefined && ignored.has(sender);",
    replace: "stateKey === undefined && sender === undefined && ignored.has(sender);",
    test: VISIBILITY,
  },
  {
    name: "an invite of somebody who is ignored is shown",
    file: "src/engine/rooms/stripped-facts.ts",
    find: "return own.ignored.has(inviter as UserId);",
    replace: "return inviter === undefined && own.ignored.has(inviter as UserId);",
    test: "test/unit/engine/lists.test.ts",
  },
  {
    name: "the visibility before a timeline is that of now, though state_after does not tell when it changed",
    file: `${INGEST}/visibility-before.ts`,
    find: "return isToldWhen ? known : Visibility.unknown;",
    replace: "return isToldWhen ? known : row.historyVisibility;",
    test: "test/unit/intake/hidden-history.test.ts",
  },
  {
    name: "older events that were for members are brought in",
    file: `${INGEST}/place-history.ts`,
    find: "visibility === Visibility.shared || visibility === Visibility.worldReadable;",
    replace: "visibility === Visibility.shared || visibility !== Visibility.shared;",
    test: "test/unit/intake/place-history.test.ts",
  },
  {
    name: "whose member event a user asks for is read as another user wrote it",
    file: "src/protocol/simplified-msc3575/parse-room-config.ts",
    find: "this.#byJson.get(written)?.config ?? this.#keep(written, ",
    replace: "this.#byJson.get(json)?.config ?? this.#keep(json, ",
    test: "test/unit/protocol/simplified-parse.test.ts",
  },
];
