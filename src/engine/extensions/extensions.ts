import type { ExtensionData, ExtensionReads } from "../../model/extension-reads.ts";
import type { ExtensionsRequest } from "../request.ts";
import type { ExtensionsResponse } from "../response.ts";
import { e2ee } from "./e2ee.ts";
import type { ExtensionInput, PlannedExtension } from "./extension.ts";
import { toDevice } from "./to-device.ts";

/** The extensions that are asked for; of the others an answer says nothing, not even their names. */
export type PlannedExtensions = {
  readonly [Name in keyof ExtensionsResponse]: PlannedExtension<NonNullable<ExtensionsResponse[Name]>> | undefined;
};

export function planExtensions(asked: ExtensionsRequest, input: ExtensionInput): PlannedExtensions {
  return {
    toDevice: asked.toDevice && toDevice(asked.toDevice, input),
    e2ee: asked.e2ee && e2ee(asked.e2ee, input),
  };
}

export const extensionReads = ({ toDevice, e2ee }: PlannedExtensions): ExtensionReads => ({
  ...toDevice?.reads,
  ...e2ee?.reads,
});

interface ExtensionsSaid {
  readonly response: ExtensionsResponse;
  readonly hasNews: boolean;
}

export function sayExtensions(planned: PlannedExtensions, data: ExtensionData): ExtensionsSaid {
  const toDevice = planned.toDevice?.say(data);
  const e2ee = planned.e2ee?.say(data);
  return {
    response: { toDevice: toDevice?.answer, e2ee: e2ee?.answer },
    hasNews: [toDevice, e2ee].some((said) => said?.isNews === true),
  };
}
