// Rows that need another server, or what no client can do to a homeserver: they run on the scripted homeserver in npm test.

export interface ScriptedRow {
  readonly number: number;
  /** The test's file, where its title begins with `row` and the number. */
  readonly file: string;
  /** What Slidecar does instead and why; undefined: the same. */
  readonly differs?: string;
}

const row = (number: number, topic: string, differs?: string): ScriptedRow => ({
  number,
  file: `test/service/conformance-${topic}.test.ts`,
  ...(differs !== undefined && { differs }),
});

export const SCRIPTED_ROWS: readonly ScriptedRow[] = [
  row(
    2,
    "connections",
    "Unknown at once, since what was told after the stored end cannot be known any more (client rule 37: only where it cannot be " +
      "helped). A process that is merely behind waits until it has caught up. Synapse waits ten seconds and answers with the " +
      "same position.",
  ),
  row(7, "invites"),
  row(8, "invites"),
  row(
    15,
    "state-resets",
    "v2 says nothing of a departure by state resolution (docs/limits.md, no. 2), so that it is told when the " +
      "joined rooms are compared, by the user's own leave (client rule 8), without the state of that moment, " +
      "which v2 does not have.",
  ),
  row(16, "state-resets", "As row 15."),
  row(
    17,
    "state-resets",
    "Told in both cases: a client may keep the room from an earlier connection, and would show it on (client " +
      "rule 8). Synapse does not where its server has left the room.",
  ),
  row(
    24,
    "connections",
    "No amount of changes ends a connection (client rule 37: M_UNKNOWN_POS only where it cannot be helped).",
  ),
  row(25, "connections", "Connections are kept for 30 days, not 7 (client rule 37)."),
  row(33, "invites"),
  row(34, "invites"),
  row(35, "invites"),
  row(42, "invites"),
  row(43, "invites"),
  row(44, "invites"),
  row(69, "remote-rooms"),
  row(74, "remote-rooms"),
  row(78, "connections"),
  row(
    96,
    "remote-rooms",
    "Listed for every config, and members follow: v2 with lazy members does not tell a room that is here in " +
      "part from a whole one (docs/limits.md, no. 29), and no room is missing from lists (client rule 1).",
  ),
  row(
    100,
    "state-resets",
    "At once where the homeserver sends state_after. Legacy state tells of members only what the timeline " +
      "needs (docs/limits.md, no. 3), so that without it the member comes when the room's state is compared.",
  ),
];
