// Who is there and which rooms they have. Known to the upstream and to the clients, so that nothing has to be set up.

export const SERVER = "bench.example";

/** The account with many rooms. Its first device brings them in; the others find everything stored. */
export const OWNER = "owner";
/** An account whose initial sync is stored while others live. */
export const HEAVY = "heavy";

/** Users of one group share all their rooms, and each of them waits with one client. */
export const GROUP_USERS = 5;
/** Rooms of a group. More: larger windows for every waiting client. Fewer: events of one batch meet in one room. */
export const GROUP_ROOMS = 50;

/** Rooms of a user whose stream is flooded. */
export const FLOOD_ROOMS = 10;

/** Rooms of one window, in all requests. */
export const WINDOW_ROOMS = 20;

export const userId = (name: string): string => `@${name}:${SERVER}`;
export const roomId = (name: string): string => `!${name}:${SERVER}`;

/** An access token says whose it is. */
export const tokenOf = (name: string, device = "D0"): string => `${name}.${device}`;

export function identityOf(token: string): { name: string; device: string } {
  const [name = "", device = ""] = token.split(".");
  return { name, device };
}

/** Users that share all rooms of the owner; each has member events only in the window that it asks for. */
export const coldUser = (index: number): string => `cold${index}`;
export const groupUser = (group: number, index: number): string => `group${group}user${index}`;
export const groupRoom = (group: number, index: number): string => roomId(`group${group}room${index}`);
export const floodUser = (index: number): string => `flood${index}`;
export const floodRoom = (user: string, index: number): string => roomId(`${user}room${index}`);
