import root from "../../jest.config.mjs";

// biome-ignore lint/style/noDefaultExport: jest takes its configuration from the default export.
export default {
  ...root,
  rootDir: "../..",
  testMatch: ["<rootDir>/test/kills/**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/"],
};
