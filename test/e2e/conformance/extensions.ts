// How rows ask for extensions, and what an answer says of them.
import type { JsonObject } from "../../support/room-life/api.ts";
import type { Answer, WireDatum, WireExtensions } from "./answer.ts";

type ExtensionName = keyof WireExtensions;

/** A request with one extension. */
export const withExtension = (name: ExtensionName, args: JsonObject = {}, request: JsonObject = {}): JsonObject => ({
  ...request,
  extensions: { [name]: { enabled: true, ...args } },
});

/** A request that subscribes to these rooms, with so many events of each. */
export const subscribedTo = (rooms: readonly string[], events = 0): JsonObject => ({
  room_subscriptions: Object.fromEntries(rooms.map((id) => [id, { timeline_limit: events, required_state: [] }])),
});

/** A list that shows the most recent room only, with its last event. */
export const TOP_ROOM: JsonObject = {
  lists: { "foo-list": { ranges: [[0, 0]], timeline_limit: 1, required_state: [] } },
};

/** What an answer says of the only extension that was asked for; throws when it says nothing of it, or something of another. */
export function sectionOf<Name extends ExtensionName>(
  { extensions = {} }: Answer,
  name: Name,
): NonNullable<WireExtensions[Name]> {
  const section = extensions[name];
  if (section === undefined || Object.keys(extensions).length > 1) {
    throw new Error(`the extensions are not ${name} alone: ${JSON.stringify(extensions)}`);
  }
  return section;
}

type Contents = Readonly<Record<string, WireDatum["content"]>>;

/** Account data by its type; `rooms` has it by the room. */
export function accountDataIn(answer: Answer): {
  readonly global: Contents;
  readonly rooms: Readonly<Record<string, Contents>>;
} {
  const { global, rooms } = sectionOf(answer, "account_data");
  if (global === undefined || rooms === undefined) throw new Error(`a part is missing: ${JSON.stringify(answer)}`);
  return { global: byType(global), rooms: mapValues(rooms, byType) };
}

function byType(data: readonly WireDatum[]): Contents {
  const contents = Object.fromEntries(data.map(({ type, content }) => [type, content]));
  if (Object.keys(contents).length < data.length) throw new Error(`a type comes twice: ${JSON.stringify(data)}`);
  return contents;
}

/** Who has read which event, by room, event and kind of receipt; users are sorted. */
export const readersIn = (answer: Answer) =>
  mapValues(sectionOf(answer, "receipts").rooms ?? {}, (datum) =>
    mapValues(contentOf<Record<string, Record<string, Readers>>>("m.receipt", datum), (kinds) =>
      mapValues(kinds, namesOf),
    ),
  );

/** When each of them read it. */
type Readers = Readonly<Record<string, { readonly ts: number }>>;

function namesOf(readers: Readers): readonly string[] {
  const isDated = Object.values(readers).every(({ ts }) => Number.isSafeInteger(ts));
  if (!isDated) throw new Error(`a receipt without its time: ${JSON.stringify(readers)}`);
  return Object.keys(readers).toSorted();
}

/** Who types, by room, sorted. */
export const typingIn = (answer: Answer): Readonly<Record<string, readonly string[]>> =>
  mapValues(sectionOf(answer, "typing").rooms ?? {}, (datum) =>
    contentOf<{ user_ids: string[] }>("m.typing", datum).user_ids.toSorted(),
  );

/** Of an event without anything else; the room is the key that it stands under. */
function contentOf<Content>(type: string, datum: WireDatum): Content {
  if (datum.type !== type || Object.keys(datum).length > 2) throw new Error(`no ${type}: ${JSON.stringify(datum)}`);
  return datum.content as Content;
}

const mapValues = <In, Out>(object: Readonly<Record<string, In>>, map: (value: In) => Out): Record<string, Out> =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
