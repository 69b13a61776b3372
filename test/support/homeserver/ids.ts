import type { Random } from "./random.ts";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE64_URL = `${LETTERS}0123456789-_`;

const LONGEST_DRAW = 64;

/** Identifiers in the shapes that Synapse gives them; seeded, so that a run can be repeated. */
export interface Ids {
  event(): string;
  room(serverName: string): string;
  /** Room version 12: the hash of the create event, without a domain. */
  hashedRoom(): string;
  device(): string;
  word(length: number): string;
}

export function createIds(random: Random): Ids {
  const bytes = Buffer.alloc(LONGEST_DRAW);
  // Written into one buffer: adding up a text letter by letter is what would make a large account slow to make.
  const draw = (alphabet: string, length: number) => {
    for (let index = 0; index < length; index++) bytes[index] = alphabet.charCodeAt(random.below(alphabet.length));
    return bytes.toString("latin1", 0, length);
  };
  return {
    event: () => `$${draw(BASE64_URL, 43)}`,
    room: (serverName) => `!${draw(LETTERS, 18)}:${serverName}`,
    hashedRoom: () => `!${draw(BASE64_URL, 43)}`,
    device: () => draw(LETTERS.slice(0, 26), 10),
    word: (length) => draw(LETTERS, length),
  };
}

export function localpartOf(userId: string): string {
  return userId.slice(1, userId.indexOf(":"));
}

export function serverOf(userId: string): string {
  return userId.slice(userId.indexOf(":") + 1);
}
