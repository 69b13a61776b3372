// Who takes part in the room life: six accounts with two devices each, under the same names on every server.
import { register, type Session } from "./api.ts";

export const PEOPLE = ["alice", "bob", "carol", "dave", "erin", "frank"] as const;
export type Person = (typeof PEOPLE)[number];

export type Actor = {
  readonly person: Person;
  /** Acts, and syncs from token to token. */
  readonly main: Session;
  /** Only makes initial syncs, so that these disturb neither the to-device queue nor what the server thinks the main device knows. */
  readonly other: Session;
};

export type Cast = Readonly<Record<Person, Actor>>;

/** Registers everybody; two have a display name from the start. */
export async function gatherCast(baseUrl: string): Promise<Cast> {
  const actors: Partial<Record<Person, Actor>> = {};
  for (const person of PEOPLE) {
    const main = await register(baseUrl, person, `${person}'s secret`, `${person.toUpperCase()}1`);
    const other = await main.loginAgain(`${person}'s secret`, `${person.toUpperCase()}2`);
    actors[person] = { person, main, other };
  }
  const cast = actors as Cast;
  for (const { main, person } of [cast.alice, cast.bob]) {
    const displayname = person === "alice" ? "Alice" : "Bob";
    await main.call("PUT", `v3/profile/${encodeURIComponent(main.userId)}/displayname`, { displayname });
  }
  return cast;
}
