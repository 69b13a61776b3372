import type { Mutant } from "./mutant.ts";

const test = "test/properties/read-model.property.test.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "who forgot a room is sent away from it once more without being told",
    file: "src/store/membership-writes.ts",
    find: "coalesce(m.nid <> EXCLUDED.nid, false)",
    replace: "false",
    test: "test/service/sync-membership.test.ts",
  },
  {
    name: "a room that was read while it changed is kept as it was read",
    file: "src/store/hot-rooms.ts",
    find: "if (!load.isOvertaken && hot !== undefined)",
    replace: "if (hot !== undefined)",
    test,
  },
  {
    name: "a room that is read after a change was prepared is taken for older than that change",
    file: "src/store/hot-rooms.ts",
    find: "    this.#preparedTo = position;\n",
    replace: "",
    test,
  },
  {
    name: "a member that was read while it changed is learnt as it was read",
    file: "src/store/hot-rooms.ts",
    find: "if (loads.get(room)?.isOvertaken === false) hot.learnMember",
    replace: "hot.learnMember",
    test: "test/service/read-rooms.test.ts",
  },
  {
    name: "events that come between known ones leave a room in memory as it is",
    file: "src/store/hot-rooms.ts",
    find: "if (isHistory) rewritten.push(room);",
    replace: "if (isHistory) continue;",
    test,
  },
  {
    name: "a member that is known stays as it was when it changes",
    file: "src/store/hot-room.ts",
    find: "else if (this.#members.has(event.stateKey as UserId)) this.learnMember(event.stateKey as UserId, event);",
    replace: "",
    test,
  },
  {
    name: "columns that were read late take the place of newer ones",
    file: "src/store/room-columns.ts",
    find: "if (!this.has(room) || (rows.changed[index] ?? 0) >= this.changedAt(room)) this.#set",
    replace: "this.#set",
    test,
  },
  {
    name: "a space that changed while it was read is kept as it was read",
    file: "src/store/space-children.ts",
    find: "      if (!load.isOvertaken) {",
    replace: "      if (true) {",
    test: "test/service/read-memory.test.ts",
  },
  {
    name: "a space in memory stays as it was when its rooms change",
    file: "src/store/space-children.ts",
    find: "if (this.#spaces.peek(room) !== undefined) stale.push(room);",
    replace: "",
    test,
  },
  {
    name: "tags that a reader took away stay in memory",
    file: "src/store/online-readers.ts",
    find: "setOrDelete(into, room, tags.get(room));",
    replace: "setOrDelete(into, room, tags.get(room) ?? into.get(room));",
    test,
  },
  {
    name: "what changed while a reader was read stays as it was read",
    file: "src/store/online-readers.ts",
    find: "      if (missed.rooms.size + missed.tagged.size === 0 && !missed.hasOther) break;\n",
    replace: "      break;\n",
    test,
  },
  {
    name: "a change of many rooms of a user at once is passed over",
    file: "src/store/online-readers.ts",
    find: "for (const room of change.rooms ?? (change.room === undefined ? [] : [change.room])) rooms",
    replace: "for (const room of change.room === undefined ? [] : [change.room]) rooms",
    test,
  },
  {
    name: "rooms that are new to a reader do not wake them",
    file: "src/store/online-readers.ts",
    find: "this.#byRoom.addAll(userNid, reader.rooms.apply(rows));",
    replace: "reader.rooms.apply(rows);",
    test,
  },
];
