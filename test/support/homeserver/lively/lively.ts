import { addUser, logIn } from "../accounts.ts";
import type { Random } from "../random.ts";
import type { Room } from "../room.ts";
import type { User } from "../user.ts";
import type { World } from "../world.ts";
import { addHabits } from "./habits.ts";
import { happen } from "./life.ts";
import { makeRooms } from "./populate.ts";
import { displayName, FIRST_NAMES } from "./vocabulary.ts";

export interface LivelyAccount {
  readonly userId: string;
  readonly deviceId: string;
  readonly token: string;
}

/** An account in which things happen by themselves, the same things for the same seed. */
export interface Lively {
  /** Makes `@demo` with so many rooms. */
  populate(rooms: number): LivelyAccount;
  /** Gives a user so many more rooms like those, and says which. */
  addRooms(userId: string, count: number): string[];
  /** From now on so many events a second; 0 ends it. */
  run(eventsPerSecond: number): void;
  /** Lets so many things happen at once. */
  step(count: number): void;
}

const DEMO_TOKEN = "syt_ZGVtbw_DemoTokenOfTheLively_account";
const DEMO_DEVICE = "DEMODEVICE";

/** Timers are not set closer than this; several events then share one. */
const SMALLEST_TICK_MS = 10;

export function createLively(world: World, random: Random): Lively {
  const rooms: Room[] = [];
  let owner: User | undefined;
  let timer: NodeJS.Timeout | undefined;
  const addRooms = (user: User, count: number) => {
    const options = { world, random, owner: user, others: crowd(world, random) };
    const made = makeRooms(options, count);
    addHabits(options, made);
    owner ??= user;
    rooms.push(...made.filter(({ kind }) => kind !== "space").map(({ room }) => room));
    return made.map(({ room }) => room.id);
  };
  const step = (count: number) => {
    for (let done = 0; done < count && owner !== undefined; done++) happen({ world, random, rooms, owner });
  };
  return {
    step,
    populate: (count) => {
      const demo = addUser(world, "demo", "demo");
      demo.displayname = "Demo";
      const { token } = logIn(world, demo, DEMO_DEVICE, DEMO_TOKEN);
      addRooms(demo, count);
      return { token, userId: demo.userId, deviceId: DEMO_DEVICE };
    },
    addRooms: (userId, count) => {
      const user = world.users.get(userId);
      return user === undefined ? [] : addRooms(user, count);
    },
    run: (eventsPerSecond) => {
      clearInterval(timer);
      if (eventsPerSecond <= 0) return;
      const everyMs = Math.max(SMALLEST_TICK_MS, 1_000 / eventsPerSecond);
      const perTick = Math.max(1, Math.round((eventsPerSecond * everyMs) / 1_000));
      timer = setInterval(() => step(perTick), everyMs);
    },
  };
}

function crowd(world: World, random: Random): User[] {
  return FIRST_NAMES.map((name) => {
    const known = world.users.get(`@${name}:${world.serverName}`);
    if (known !== undefined) return known;
    const user = addUser(world, name, name);
    user.displayname = displayName(name);
    if (random.chance(0.6)) user.avatarUrl = `mxc://${world.serverName}/${name}`;
    return user;
  });
}
