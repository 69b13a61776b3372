import { devices, pushRules } from "./devices.ts";
import { members, stateAfter } from "./members.ts";
import { knocks, memberships } from "./memberships.ts";
import { refusals, versions } from "./refusals.ts";
import { relations } from "./relations.ts";
import type { Scene } from "./stage.ts";
import { filters, timelines } from "./timelines.ts";
import { ignoring, visibility } from "./visibility.ts";

/** Room life that is played on the scripted homeserver and on a real one, whose answers are then compared. */
export const scenes: Readonly<Record<string, Scene>> = {
  timelines,
  filters,
  members,
  stateAfter,
  memberships,
  knocks,
  visibility,
  ignoring,
  relations,
  devices,
  pushRules,
  versions,
  refusals,
};
