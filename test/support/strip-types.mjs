// jest transform: removes the types, as Node itself does when it runs a .ts file, so that tests and program see the same code.
import { createHash } from "node:crypto";
import { stripTypeScriptTypes } from "node:module";

export default {
  process: (source) => ({ code: stripTypeScriptTypes(source, { mode: "strip" }) }),
  getCacheKey: (source) => createHash("sha256").update(process.version).update(source).digest("hex"),
};
