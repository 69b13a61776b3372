import type { ToDeviceRequest } from "../request.ts";
import type { ToDeviceAnswer } from "../response.ts";
import type { Extension } from "./extension.ts";

/**
 * Messages to this device alone, each until the client acknowledges it (MSC3885, MSC4538). Apart from the connection: what was
 * delivered says the client itself.
 */
export const toDevice: Extension<ToDeviceRequest, ToDeviceAnswer> = ({ since, limit }, { view: { device } }) => {
  const { toDeviceHead: head } = device;
  // A client that has more than was ever stored has it from before an older database came back: it is told all there is.
  const after = since === undefined || since > head ? 0 : since;
  return {
    reads: () => (head > after ? { toDevice: { after, limit } } : {}),
    say: ({ toDevice: messages }) => ({
      answer: {
        events: messages.map(({ body }) => body),
        nextBatch: messages.at(-1)?.sequence ?? (after > 0 ? after : head),
      },
      isNews: messages.length > 0,
    }),
  };
};
