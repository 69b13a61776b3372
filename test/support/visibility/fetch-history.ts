import { historyQueue } from "../../../src/intake/history/history-queue.ts";
import { selectHead } from "../../../src/store/changes.ts";
import type { Database } from "../../../src/store/database.ts";
import type { ModelHomeserver } from "../intake-truth/model-homeserver.ts";
import type { ProductStreams } from "../intake-truth/product-streams.ts";
import { until } from "../until.ts";

const FORWARDED = { xForwardedFor: undefined, userAgent: undefined };

/** Fetches older events that clients of a stream's user want, as the process does that polls for them. */
export async function fetchHistory(
  db: Database,
  homeserver: ModelHomeserver,
  streams: ProductStreams,
  index: number,
): Promise<void> {
  const { claim, session } = streams.streams[index]!;
  const { userNid } = claim;
  const [wanted] = await db.query<{ count: number }>({
    text: "SELECT count(*)::int AS count FROM history_wants WHERE user_nid = $1 AND NOT is_taken AND again_at > now()",
    values: [userNid],
  });
  let settled = 0;
  let want: (payload: string) => void = () => {};
  const queue = historyQueue({
    db: {
      ...db,
      listen: async (_channel, onWanted) => {
        want = onWanted;
        return { [Symbol.asyncDispose]: async () => {} };
      },
    },
    rooms: homeserver.rooms,
    values: homeserver.values,
    store: { live: (part) => streams.storePart(part) },
    callerOf: () => ({ device: claim, token: session.token, forwarded: FORWARDED }),
    head: () => selectHead(db),
    nowUs: () => Date.now() * 1000,
    onPosition: () => {
      settled += 1;
    },
    onSettled: () => {},
    onError: (error) => {
      throw error;
    },
  });
  await queue.listen();
  want(String(userNid));
  await until(() => settled === wanted?.count);
  await queue.stop();
}
