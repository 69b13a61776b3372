import { KillWorld } from "./kill-world.ts";
import type { Target } from "./round-plan.ts";

/** Rounds one after the other in one world. Rejects with the first that fails, and how to run it alone. */
export async function killRounds(targets: readonly Target[], seeds: readonly number[]): Promise<void> {
  await using world = await KillWorld.start({ targets });
  for (const seed of seeds) {
    try {
      await world.round(seed);
    } catch (error) {
      const again = `npm run test:soak -- kills --seed ${seed} --rounds 1 --targets ${targets.join(",")}`;
      throw new Error(`${String(error)}\nagain: ${again}`);
    }
  }
}
