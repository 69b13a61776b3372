/** `m.room.history_visibility` in force at an event. Numbers are stored: append only. */
export const Visibility = { unknown: 0, worldReadable: 1, shared: 2, invited: 3, joined: 4 } as const;
export type Visibility = (typeof Visibility)[keyof typeof Visibility];

/**
 * Reads `history_visibility`. A value that is not known counts as `shared`, as the specification says for a missing one
 * ("Room History Visibility").
 */
export function visibilityOf(value: unknown): Visibility {
  switch (value) {
    case "world_readable":
      return Visibility.worldReadable;
    case "invited":
      return Visibility.invited;
    case "joined":
      return Visibility.joined;
    default:
      return Visibility.shared;
  }
}
