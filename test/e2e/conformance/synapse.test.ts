import { tryRows } from "./run-rows.ts";
import { startNative } from "./targets.ts";

tryRows(startNative);
