// jest environment: after the first test that fails, the others of its file are skipped.
import { TestEnvironment } from "jest-environment-node";

// biome-ignore lint/style/noDefaultExport: jest takes the default export.
export default class FirstFailureEnvironment extends TestEnvironment {
  #hasFailed = false;

  handleTestEvent(event) {
    if (event.name === "test_done" && event.test.errors.length > 0) this.#hasFailed = true;
    if (event.name === "test_start" && this.#hasFailed) event.test.mode = "skip";
  }
}
