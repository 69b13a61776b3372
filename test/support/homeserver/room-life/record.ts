import { parseArgs } from "node:util";
import { normalise } from "./normalise.ts";
import { scenes } from "./scenes.ts";
import { play } from "./stage.ts";

// Plays the scenes on a running homeserver and prints what it says, a line of JSON for each answer. The homeserver must
// be named example.org, let anybody register, limit no rates, and have MSC4222 on.
//
//   node test/support/homeserver/room-life/record.ts http://127.0.0.1:8008 > synapse-1.157.1.jsonl

const { positionals } = parseArgs({ allowPositionals: true });
const [base = "http://127.0.0.1:8008"] = positionals;
for (const [scene, run] of Object.entries(scenes)) {
  // In no name and no text of a scene.
  const tag = `q${Date.now().toString(36)}q`;
  for (const line of normalise(await play(run, base, tag))) console.log(JSON.stringify({ scene, ...line }));
}
