import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { UserId, UserNid } from "../../src/model/ids.ts";
import { DraftedRoom } from "../support/drafted-room.ts";
import {
  type Answer,
  type AnswerStore,
  READERS,
  RedactionStreams,
  redactionStep,
  VERSIONS,
} from "../support/redaction-streams.ts";

const RUNS = 500;

/** A store in plain maps. */
class DraftedStore implements AnswerStore {
  readonly room = new DraftedRoom();

  get position() {
    return this.room.position;
  }

  async store(answers: readonly Answer[]): Promise<void> {
    this.room.foldAll(
      answers.map(({ reader, section, ...source }) => {
        const userNid = (reader + 1) as UserNid;
        return ["join", section, { ...source, userNid, userId: READERS[reader] as UserId }];
      }),
    );
  }
}

test("whatever comes in which order and form, what is stored ends as the homeserver serves it", async () => {
  const steps = fc.array(redactionStep, { minLength: 10, maxLength: 40, size: "max" });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...VERSIONS), steps, async (version, given) => {
      const store = new DraftedStore();
      const streams = new RedactionStreams(version, store);
      await streams.run(given);
      const { room } = store;
      const types = new Set(streams.log.map(({ type }) => type));
      const current = new Map([...types].map((type) => [type, room.current(type)]));
      expect(room.events.size).toBeGreaterThan(0);
      streams.check({ ...room.row, events: room.events, current });
    }),
    { numRuns: RUNS },
  );
});
