import type { Config } from "../config/config.ts";
import type { MetricsPart } from "../metrics/merge.ts";
import type { StreamPosition } from "../model/stream-position.ts";

/** What the intake process needs; the first message on the channel. */
export interface IntakeChildInput {
  readonly config: Pick<Config, "homeserver" | "polling" | "logging">;
  readonly database: { readonly url: string; readonly poolSize: number };
  readonly secret: string;
  readonly formerSecrets: readonly string[];
}

/** From the parent, later. */
export interface IntakeParentMessage {
  readonly kind: "metrics";
  readonly id: number;
}

/** From the intake process. */
export type IntakeChildMessage =
  | { readonly kind: "started" }
  /** Everything at or below the position is visible now. */
  | { readonly kind: "stored"; readonly position: StreamPosition }
  | { readonly kind: "metrics"; readonly id: number; readonly part: MetricsPart };
