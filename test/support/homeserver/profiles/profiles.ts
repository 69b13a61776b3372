import type { Profile } from "../profile.ts";
import { dendrite } from "./dendrite.ts";
import { synapse } from "./synapse.ts";
import { tuwunel } from "./tuwunel.ts";

export const profiles: Readonly<Record<string, Profile>> = { synapse, dendrite, tuwunel };
