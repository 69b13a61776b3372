import { tryRows } from "./run-rows.ts";
import { startFronted } from "./targets.ts";

tryRows(startFronted);
