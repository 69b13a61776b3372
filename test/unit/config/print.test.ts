import { expect, test } from "@jest/globals";
import { printConfig } from "../../../src/config/print.ts";
import { HOMESERVER, load } from "./config-files.ts";

test("the printed configuration loads again as the same", () => {
  const config = load({
    files: { "a.yaml": "listeners: [{socket: /s, resources: [client]}, {port: 5, resources: [internal]}]" },
    env: { ...HOMESERVER, SLIDECAR__HOMESERVER__SERVER_NAME: "example.org", SLIDECAR__SYNC__INITIAL_WAIT: "1500ms" },
  });
  expect(load({ files: { "printed.yaml": printConfig(config) } })).toEqual(config);
});

test("the printed configuration shows that secrets are set and nothing of them", () => {
  const env = {
    ...HOMESERVER,
    SLIDECAR__DATABASE__URL: "postgres://user:pass/w@host/db",
    SLIDECAR__SECRET: "hunter2",
    SLIDECAR__FORMER_SECRETS: "[hunter1]",
  };
  const printed = printConfig(load({ env }));
  expect(printed).not.toMatch(/hunter|user|pass\/|host|db/);
  expect(printed).toContain("secret: '********'");
  expect(printed).toContain("former_secrets:\n  - '********'");
  expect(printed).toContain("  url: '********'");
});
