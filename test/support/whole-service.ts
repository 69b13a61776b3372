// The product as an operator starts it, before a scripted homeserver, and requests as clients send them.
import { openTestDatabase, type TestDatabase } from "./database.ts";
import { type Homeserver, type ProfileName, startHomeserver } from "./homeserver/start.ts";
import { type KillableProduct, type ProductOptions, startKillableProduct } from "./kills/killable-product.ts";

const SYNC_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

interface WholeService extends AsyncDisposable {
  readonly homeserver: Homeserver;
  readonly db: TestDatabase;
  readonly product: KillableProduct;
  /** Any status. */
  sync<Answer>(token: string, body: object, query?: SyncQuery): Promise<readonly [status: number, answer: Answer]>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface SyncQuery {
  readonly pos?: string | undefined;
  readonly timeoutMs?: number;
}

export async function startWholeService(
  options: Partial<Pick<ProductOptions, "idleAfter">> & { readonly profile?: ProfileName } = {},
): Promise<WholeService> {
  const { profile = "synapse", ...more } = options;
  const [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver({ profile })]);
  const product = await startKillableProduct({
    homeserverUrl: homeserver.url,
    databaseUrl: db.url,
    timelineLimit: 20,
    ...more,
  });
  return {
    homeserver,
    db,
    product,
    async sync<Answer>(token: string, body: object, { pos, timeoutMs = 0 }: SyncQuery = {}) {
      const query = new URLSearchParams({ timeout: String(timeoutMs), ...(pos !== undefined && { pos }) });
      const response = await fetch(`${product.url}${SYNC_PATH}?${query}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return [response.status, (await response.json()) as Answer] as const;
    },
    async [Symbol.asyncDispose]() {
      await product[Symbol.asyncDispose]();
      await homeserver[Symbol.asyncDispose]();
      await db[Symbol.asyncDispose]();
    },
  };
}
