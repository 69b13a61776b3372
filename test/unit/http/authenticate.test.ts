import { expect, test } from "@jest/globals";
import { createAuthenticate } from "../../../src/http/authenticate.ts";
import { TokenRefusedError } from "../../../src/http/token-refused-error.ts";
import type { ClientUpstream, Whoami } from "../../../src/model/client-upstream.ts";

const NOBODY = { xForwardedFor: undefined, userAgent: undefined };
const ALICE = { kind: "known", userId: "@alice:x", deviceId: "PHONE", isGuest: false } as Whoami;
const REFUSED: Whoami = { kind: "refused", status: 401, errcode: "M_UNKNOWN_TOKEN", body: Buffer.from("{}") };

/** A homeserver that answers when the test says so. */
function start() {
  const asked: { readonly token: string; resolve(whoami: Whoami): void; reject(error: Error): void }[] = [];
  const outcomes: string[] = [];
  const whoami: ClientUpstream["whoami"] = (token) =>
    new Promise((resolve, reject) => asked.push({ token, resolve, reject }));
  const uncounted = { inc: () => undefined };
  const authenticate = createAuthenticate({
    upstream: { whoami } as ClientUpstream,
    clock: { nowMs: () => 1000 },
    hashToken: (token) => Buffer.from(`hash of ${token}`),
    metrics: {
      whoami: { inc: ({ outcome }) => outcomes.push(outcome) },
      passthroughRequests: uncounted,
      syncRequests: uncounted,
    },
  });
  return { asked, outcomes, authenticate: (token: string) => authenticate(token, NOBODY) };
}

test("requests that come while a token is looked up wait for the same answer", async () => {
  const { asked, outcomes, authenticate } = start();
  const answers = [authenticate("t"), authenticate("t"), authenticate("u"), authenticate("t")];
  expect(asked.map(({ token }) => token)).toEqual(["t", "u"]);
  for (const { resolve } of asked) resolve(ALICE);
  for (const answer of answers) expect(await answer).toMatchObject({ userId: "@alice:x", deviceId: "PHONE" });
  expect(await authenticate("t")).toMatchObject({ userId: "@alice:x" });
  expect(asked).toHaveLength(2);
  expect(outcomes).toEqual(["valid", "valid", "cached"]);
});

test("all who wait learn of a failure, and the next one asks again", async () => {
  const { asked, outcomes, authenticate } = start();
  const answers = [authenticate("t"), authenticate("t")];
  asked[0]?.reject(new Error("unreachable"));
  for (const answer of answers) await expect(answer).rejects.toThrow("unreachable");
  const next = authenticate("t");
  asked[1]?.resolve(ALICE);
  expect(await next).toMatchObject({ userId: "@alice:x" });
  expect(outcomes).toEqual(["failed", "valid"]);
});

test("all who wait learn of a refusal", async () => {
  const { asked, outcomes, authenticate } = start();
  const answers = [authenticate("t"), authenticate("t")];
  asked[0]?.resolve(REFUSED);
  for (const answer of answers) await expect(answer).rejects.toEqual(new TokenRefusedError(REFUSED as never));
  await expect(authenticate("t")).rejects.toBeInstanceOf(TokenRefusedError);
  expect(asked).toHaveLength(1);
  expect(outcomes).toEqual(["invalid", "cached"]);
});
