import type { Person } from "../person.ts";
import type { World } from "../world.ts";

/** Who takes part in a row that tries both ways out of a room. */
interface Departing {
  /** Departs. */
  readonly user1: Person;
  /** Has the room. */
  readonly user2: Person;
  readonly user3: Person;
  readonly depart: (roomId: string) => Promise<void>;
}

/** Tries the same with users of its own for a leave and for a ban. */
export async function eachDeparture(world: World, run: (departing: Departing) => Promise<void>): Promise<void> {
  const ways = [
    (user1: Person, _user2: Person, roomId: string) => user1.leave(roomId),
    (user1: Person, user2: Person, roomId: string) => user2.ban(roomId, user1),
  ];
  for (const way of ways) {
    const [user1, user2] = await world.pair();
    const depart = (roomId: string) => way(user1, user2, roomId);
    await run({ user1, user2, user3: await world.user("user3"), depart });
  }
}
