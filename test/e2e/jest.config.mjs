import root from "../../jest.config.mjs";

// biome-ignore lint/style/noDefaultExport: jest takes its configuration from the default export.
export default {
  rootDir: "../..",
  testEnvironment: root.testEnvironment,
  extensionsToTreatAsEsm: root.extensionsToTreatAsEsm,
  transform: root.transform,
  testMatch: ["<rootDir>/test/e2e/**/*.test.ts"],
  // A test here starts Synapse and lives through a kill, after which the SDK pauses for 5 s.
  testTimeout: 180_000,
  // matrix-js-sdk leaves a timer of 20 s behind with every request, so that the process would linger.
  forceExit: true,
  // Synapse, the product and the clients share the machine already.
  maxWorkers: 1,
};
