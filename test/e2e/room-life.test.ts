import { expect, test } from "@jest/globals";
import { startHomeserver } from "../support/homeserver/start.ts";
import { type Allowance, type Difference, differences, judge } from "../support/room-life/differences.ts";
import { normalise } from "../support/room-life/normalise.ts";
import { type Life, roomLife } from "../support/room-life/room-life.ts";
import { withLogs } from "./support/server-process.ts";
import { startSynapse } from "./support/synapse.ts";

/** Where the scripted homeserver may differ from Synapse, and why. */
const ALLOWANCES: readonly Allowance[] = [];

/** So many differences are printed; one mistake may show in hundreds of answers. */
const SHOWN = 40;

test("the scripted homeserver answers a room life as Synapse does", async () => {
  await answersAlike({ msc4222: false });
});

test("the scripted homeserver answers a room life as Synapse does with state_after", async () => {
  await answersAlike({ msc4222: true });
});

async function answersAlike({ msc4222 }: { msc4222: boolean }): Promise<void> {
  await using synapse = await startSynapse({ native: false, msc4222 });
  await using scripted = await startHomeserver({ serverName: synapse.serverName, profile: "synapse" });
  await scripted.control.settings({ msc4222 });
  const real = await withLogs([synapse], () => roomLife(synapse));
  const { forbidden, unused } = judge(differences(real, await roomLife(scripted)), ALLOWANCES);
  expect(forbidden.slice(0, SHOWN).map(inWords)).toEqual([]);
  expect(unused.map(({ reason }) => reason)).toEqual([]);
  expect(answersWithUnknownIds(real)).toEqual([]);
  expect(JSON.stringify(real.snapshots).includes("msc4222.state_after")).toBe(msc4222);
}

test("a difference without allowance is forbidden and an allowance without difference is unused", () => {
  const difference = { where: "talk: bob next full > next_batch", left: "a", right: "b" };
  const fitting = { where: /bob next full/, reason: "fits" };
  const other = { where: /carol/, reason: "does not fit" };
  expect(judge([difference], [fitting])).toEqual({ forbidden: [], unused: [] });
  expect(judge([difference], [other])).toEqual({ forbidden: [difference], unused: [other] });
});

test("an event too many, a missing field and another order are differences, and other ids and times are none", () => {
  const life = (id: string, ...bodies: readonly string[]): Life => ({
    snapshots: [
      {
        at: "talk",
        call: "sync",
        answer: { timeline: { events: bodies.map((body, i) => ({ event_id: `${id}${i}`, body, age: i })) } },
      },
    ],
    names: new Map(bodies.map((_, i) => [`${id}${i}`, `$${i}`])),
  });
  const path = "talk: sync > timeline > events";
  const found = (left: Life, right: Life) => differences(left, right).map(({ where }) => where);
  expect(found(life("$a", "x", "y"), life("$b", "x", "y"))).toEqual([]);
  expect(found(life("$a", "x", "y"), life("$b", "x"))).toEqual([`${path} > order`, `${path} > $1`]);
  expect(found(life("$a", "x", "y"), life("$b", "y", "x"))).toEqual([`${path} > $0 > body`, `${path} > $1 > body`]);
});

/** An id that has no name would hide a difference. */
function answersWithUnknownIds({ snapshots, names }: Life): string[] {
  const isUnknown = (answer: unknown) => JSON.stringify(normalise(answer, names)).includes("<unknown ");
  return snapshots.filter(({ answer }) => isUnknown(answer)).map(({ at, call }) => `${at}: ${call}`);
}

function inWords({ where, left, right }: Difference): string {
  return `${where}\n  Synapse: ${JSON.stringify(left)}\n  scripted: ${JSON.stringify(right)}`;
}
