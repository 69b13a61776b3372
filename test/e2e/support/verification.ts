// How two devices come to trust each other.
import { expect } from "@jest/globals";
import {
  CryptoEvent,
  type ShowSasCallbacks,
  VerificationPhase,
  type VerificationRequest,
  VerificationRequestEvent,
  type Verifier,
  VerifierEvent,
} from "matrix-js-sdk/lib/crypto-api/index.js";
import type { Robot } from "./client.ts";
import { cryptoOf } from "./encrypted-talk.ts";

/** A new account may put its keys there without being asked for its password again. */
export const crossSign = (robot: Robot): Promise<void> =>
  cryptoOf(robot).bootstrapCrossSigning({
    authUploadDeviceSigningKeys: async (upload) => {
      await upload(null);
    },
  });

/** One asks, the other accepts, both compare and confirm. */
export async function verifyBySas(asking: Robot, asked: Robot, ask: () => Promise<VerificationRequest>): Promise<void> {
  let received: VerificationRequest | undefined;
  asked.sdk.once(CryptoEvent.VerificationRequestReceived, (request) => {
    received = request;
    asked.look();
  });
  const request = watched(asking, await ask());
  await asked.until(() => received !== undefined, "to be asked");
  if (received === undefined) throw new Error("not asked");
  const incoming = watched(asked, received);
  await incoming.accept();
  await asking.until(() => request.phase === VerificationPhase.Ready, "the other side is ready");
  const first = shown(asking, await request.startVerification("m.sas.v1"));
  await asked.until(() => incoming.verifier !== undefined, "the other side starts");
  if (incoming.verifier === undefined) throw new Error("not started");
  const second = shown(asked, incoming.verifier);
  const [one, other] = [await first.sas(), await second.sas()];
  expect(one.sas.emoji).toHaveLength(7);
  expect(one.sas.emoji).toEqual(other.sas.emoji);
  await Promise.all([one.confirm(), other.confirm()]);
  await Promise.all([first.done, second.done]);
  await asking.until(() => request.phase === VerificationPhase.Done, "the end of the verification");
  await asked.until(() => incoming.phase === VerificationPhase.Done, "the end of the verification");
}

function watched(robot: Robot, request: VerificationRequest): VerificationRequest {
  request.on(VerificationRequestEvent.Change, robot.look);
  return request;
}

interface Shown {
  readonly done: Promise<void>;
  sas(): Promise<ShowSasCallbacks>;
}

function shown(robot: Robot, verifier: Verifier): Shown {
  verifier.on(VerifierEvent.ShowSas, robot.look);
  const done = verifier.verify();
  // It is looked at later.
  done.catch(() => {});
  return {
    done,
    sas: async () => {
      await robot.until(() => verifier.getShowSasCallbacks() !== null, "emoji");
      const callbacks = verifier.getShowSasCallbacks();
      if (callbacks === null) throw new Error("no emoji");
      return callbacks;
    },
  };
}
