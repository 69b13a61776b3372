import { mutants as engine } from "./engine.ts";
import { mutants as extensions } from "./extensions.ts";
import { mutants as fetch } from "./fetch.ts";
import { mutants as history } from "./history.ts";
import { mutants as intake } from "./intake.ts";
import { mutants as intakeTruth } from "./intake-truth.ts";
import { mutants as jsonSplitter } from "./json-splitter.ts";
import { mutants as kills } from "./kills.ts";
import { mutants as ledger } from "./ledger.ts";
import type { Mutant } from "./mutant.ts";
import { mutants as positions } from "./positions.ts";
import { mutants as readModel } from "./read-model.ts";
import { mutants as recall } from "./recall.ts";
import { mutants as redactions } from "./redactions.ts";
import { mutants as visibility } from "./visibility.ts";

/** The longest first, so that none is left over in the end. */
export const allMutants: readonly Mutant[] = [
  ...kills,
  ...readModel,
  ...positions,
  ...history,
  ...recall,
  ...intake,
  ...intakeTruth,
  ...visibility,
  ...redactions,
  ...fetch,
  ...jsonSplitter,
  ...ledger,
  ...engine,
  ...extensions,
];
