// Rows that need another server, or what no client can do to a homeserver: they run on the scripted homeserver in npm test.

export interface ScriptedRow {
  readonly number: number;
  /** The test's file, where its title begins with `row` and the number. */
  readonly file: string;
  /** What Slidecar does instead and why; undefined: the same. */
  readonly differs?: string;
}

export const SCRIPTED_ROWS: readonly ScriptedRow[] = [];
