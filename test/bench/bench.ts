import type { BenchCluster } from "./bench-database.ts";
import type { BenchUpstream } from "./bench-upstream.ts";
import type { OtherServer } from "./options.ts";
import { childOf } from "./processes.ts";
import { type Product, type ProductOptions, type Role, startProduct, untilOk } from "./product.ts";
import type { Row } from "./row.ts";
import type { Sizes } from "./sizes.ts";

/** What rows measure with. */
export interface Bench {
  readonly sizes: Sizes;
  readonly folder: string;
  readonly cluster: BenchCluster;
  readonly upstream: BenchUpstream;
  /** The database with the owner's rooms. */
  readonly databaseUrl: string;
  readonly service: Service;
  readonly other: OtherServer | undefined;
  readonly profileFolder: string | undefined;
  readonly progress: (line: string) => void;
}

export interface RowMeasure {
  readonly key: string;
  readonly measure: (bench: Bench) => Promise<readonly Row[]>;
}

/** What the intake process runs. */
const INTAKE_ENTRY = "intake-child";

/** The two processes of the product on one database; apart, each can be stopped and started anew. */
export class Service implements AsyncDisposable {
  readonly #options: Omit<ProductOptions, "role">;
  readonly #running = new Map<Role, Product>();

  constructor(options: Omit<ProductOptions, "role">) {
    this.#options = options;
  }

  /** Answers clients. */
  get client(): Product {
    return this.#running.get("all") ?? this.#get("client");
  }

  /** Polls the homeserver. */
  get intake(): Pick<Product, "cpuSeconds" | "peakBytes" | "log"> {
    const all = this.#running.get("all");
    return all === undefined ? this.#get("intake") : { ...childOf(all.pid, INTAKE_ENTRY), log: () => all.log() };
  }

  /** As it is when nothing is configured: the intake process is a child of the one that answers. Resolves when it is ready. */
  async startTogether(): Promise<void> {
    // Parent and child would write their profiles into one file.
    if (this.#options.profileFolder !== undefined) return await this.startApart();
    const all = await startProduct({ ...this.#options, role: "all" });
    this.#running.set("all", all);
    await untilOk(`${all.internalUrl}/ready`, all);
  }

  /** As two programs, so that one can be started again alone. */
  async startApart(): Promise<void> {
    await this.stop("all");
    if (!this.#running.has("intake")) {
      this.#running.set("intake", await startProduct({ ...this.#options, role: "intake" }));
    }
    if (!this.#running.has("client")) await this.startClient();
  }

  /** Resolves when it is ready. */
  async startClient(): Promise<void> {
    const client = await startProduct({ ...this.#options, role: "client" });
    this.#running.set("client", client);
    await untilOk(`${client.internalUrl}/ready`, client);
  }

  async stop(role: Role): Promise<void> {
    await this.#running.get(role)?.[Symbol.asyncDispose]();
    this.#running.delete(role);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.keys()].map((role) => this.stop(role)));
  }

  #get(role: Role): Product {
    const running = this.#running.get(role);
    if (running === undefined) throw new Error(`no ${role} process runs`);
    return running;
  }
}
