import type { ExtensionData, ExtensionReads } from "../../model/extension-reads.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { ReaderView } from "../view.ts";

/** What extensions are planned from. */
export interface ExtensionInput {
  readonly view: ReaderView;
  /** undefined on a first request. */
  readonly from: StreamPosition | undefined;
}

/** What an extension says in one answer. */
export interface Said<Answer> {
  readonly answer: Answer;
  /** A waiting client should be answered now. */
  readonly isNews: boolean;
}

/** An extension that is asked for, in one answer. */
export interface PlannedExtension<Answer> {
  readonly reads: ExtensionReads;
  /** Says what was read. */
  say(data: ExtensionData): Said<Answer>;
}

/** One extension of the answer (MSC3575 "Extensions"). Pure: memory says what has to be read, and that what is to be told. */
export type Extension<Asked, Answer> = (asked: Asked, input: ExtensionInput) => PlannedExtension<Answer>;
