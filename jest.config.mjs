import { availableParallelism } from "node:os";

export default {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  transform: { "\\.ts$": "<rootDir>/test/support/strip-types.mjs" },
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "<rootDir>/test/e2e/", "<rootDir>/test/kills/"],
  testSequencer: "<rootDir>/test/support/longest-first.mjs",
  // jest would leave a processor out, and tests wait for other processes half of the time. More: they run into their time limits.
  maxWorkers: availableParallelism(),
  globalSetup: "<rootDir>/test/support/global-setup.ts",
  globalTeardown: "<rootDir>/test/support/global-teardown.ts",
  testTimeout: 30_000,
};
