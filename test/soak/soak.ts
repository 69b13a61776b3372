/** What is given on the command line; undefined: the long run decides. */
export interface SoakOptions {
  readonly seed: number | undefined;
  readonly rounds: number | undefined;
  readonly minutes: number | undefined;
  readonly targets: readonly string[] | undefined;
  /** Aborts when the run shall end early; what was started is ended in order. */
  readonly stop: AbortSignal;
}

export interface SoakReport {
  /** Markdown: what was run, and its figures. */
  readonly lines: readonly string[];
  /** What went wrong; empty: nothing. */
  readonly failures: readonly string[];
}

/** A run that is too long for `npm test`. */
export interface Soak {
  /** As it is called on the command line; its heading in the report. */
  readonly name: string;
  /** Resolves also when something went wrong: the report says so. */
  run(options: SoakOptions, progress: (line: string) => void): Promise<SoakReport>;
}
