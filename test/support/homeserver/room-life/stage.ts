import { type JsonObject, objects } from "../json.ts";
import { logIn, ResponseError, type Robot } from "../robot.ts";

/** One thing that a homeserver said in a scene. */
export interface Line {
  readonly name: string;
  readonly answer: unknown;
}

/** Where a scene is played: any homeserver on which anybody may register. */
export interface Stage {
  /** A new user; the name is made unique, and later taken back to what it was. */
  user(name: string): Promise<Robot>;
  note(name: string, answer: unknown): void;
  /** Notes how a request is answered, be it refused or not. */
  noteReply(name: string, reply: Promise<JsonObject>): Promise<void>;
}

export type Scene = (stage: Stage) => Promise<void>;

export interface Played {
  readonly lines: readonly Line[];
  /** What made the users' names unique. */
  readonly tag: string;
}

/** Plays a scene against a homeserver and returns what it said, as it said it. */
export async function play(scene: Scene, base: string, tag: string): Promise<Played> {
  const lines: Line[] = [];
  const note = (name: string, answer: unknown) => void lines.push({ name, answer: structuredClone(answer) });
  await scene({
    user: (name) => logIn(base, `${name}${tag}`, `${name.toUpperCase()}DEVICE`),
    note,
    noteReply: async (name, reply) => note(name, await reply.then((body) => ({ status: 200, body }), refusalOf)),
  });
  return { lines, tag };
}

function refusalOf(error: unknown): JsonObject {
  if (error instanceof ResponseError) return { status: error.status, body: error.body };
  throw error;
}

export const path = (roomId: string, rest: string) => `/rooms/${encodeURIComponent(roomId)}/${rest}`;
export const part = encodeURIComponent;

/** Sends one text after the other; the ids of the events. */
export async function sendAll(robot: Robot, roomId: string, texts: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const text of texts) ids.push(await robot.send(roomId, text));
  return ids;
}

/** A profile change reaches the rooms some time after it was answered: waits until the reader sees it. */
export async function untilRenamed(reader: Robot, roomId: string, userId: string, displayname: string): Promise<void> {
  for (;;) {
    const answer = await reader.call("GET", path(roomId, "members"));
    const member = objects(answer.chunk).find(({ state_key }) => state_key === userId);
    if ((member?.content as JsonObject | undefined)?.displayname === displayname) return;
  }
}
