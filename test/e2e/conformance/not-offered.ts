// Extensions of Synapse's that Slidecar does not offer: their rows of the conformance table are named and not tried.

interface NotOffered {
  readonly extension: string;
  /** Numbers of its rows. */
  readonly rows: string;
  readonly reason: string;
}

export const NOT_OFFERED: readonly NotOffered[] = [
  {
    extension: "io.element.msc4308.thread_subscriptions",
    rows: "151 to 158",
    reason:
      "v2 `/sync` does not tell of thread subscriptions (MSC4306). Clients ask for them only where `/versions` has " +
      "`org.matrix.msc4306`, which Synapse has off unless it is set up otherwise.",
  },
  {
    extension: "org.matrix.msc4354.sticky_events",
    rows: "159 to 167",
    reason:
      "MSC4354 is not accepted, and Synapse has it off unless it is set up otherwise. matrix-js-sdk asks for it whatever " +
      "the server has, and does without an answer.",
  },
];
