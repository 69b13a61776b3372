import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Registry } from "prom-client";
import { configKeys } from "../../src/config/keys.ts";
import { LOG_FIELDS } from "../../src/logging/fields.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { configPage } from "./config-page.ts";
import { configSample } from "./config-sample.ts";
import { logFieldsPage } from "./log-fields-page.ts";
import { metricsPage } from "./metrics-page.ts";

export interface Output {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
}

/** All generated files as they should be. */
export async function generatedFiles(): Promise<readonly Output[]> {
  const registry = new Registry();
  createMetrics(registry);
  return [
    { path: "config.sample.yaml", text: configSample(configKeys) },
    { path: "docs/config.md", text: configPage(configKeys) },
    { path: "docs/log-fields.md", text: logFieldsPage(LOG_FIELDS) },
    { path: "docs/metrics.md", text: await metricsPage(registry) },
  ];
}

/** Those whose content on disk is missing or another. */
export function staleFiles(outputs: readonly Output[], root: string): readonly Output[] {
  return outputs.filter(({ path, text }) => {
    try {
      return readFileSync(join(root, path), "utf8") !== text;
    } catch {
      return true;
    }
  });
}
