import type { ExtensionData, ExtensionReads } from "../../model/extension-reads.ts";
import type { ExtensionsRequest } from "../request.ts";
import type { ExtensionsResponse } from "../response.ts";
import { accountData } from "./account-data.ts";
import { e2ee } from "./e2ee.ts";
import type { ExtensionInput, PlannedExtension, RoomsRead } from "./extension.ts";
import { receipts } from "./receipts.ts";
import type { AnsweredRooms } from "./room-streams.ts";
import { toDevice } from "./to-device.ts";
import { typing } from "./typing.ts";

/** The extensions that are asked for; of the others an answer says nothing, not even their names. */
export type PlannedExtensions = {
  readonly [Name in keyof ExtensionsResponse]: PlannedExtension<NonNullable<ExtensionsResponse[Name]>> | undefined;
};

export const planExtensions = (asked: ExtensionsRequest, input: ExtensionInput): PlannedExtensions => ({
  toDevice: asked.toDevice && toDevice(asked.toDevice, input),
  e2ee: asked.e2ee && e2ee(asked.e2ee, input),
  accountData: asked.accountData && accountData(asked.accountData, input),
  receipts: asked.receipts && receipts(asked.receipts, input),
  typing: asked.typing && typing(asked.typing, input),
});

/** What must be read for the extensions, once the rooms of the answer were read. */
export const readsOfExtensions = (planned: PlannedExtensions, rooms: RoomsRead): ExtensionReads =>
  Object.assign({}, ...Object.values(planned).map((extension) => extension?.reads(rooms)));

interface ExtensionsSaid {
  readonly response: ExtensionsResponse;
  readonly hasNews: boolean;
}

export function sayExtensions(
  planned: PlannedExtensions,
  data: ExtensionData,
  answered: AnsweredRooms,
): ExtensionsSaid {
  const said = {
    toDevice: planned.toDevice?.say(data, answered),
    e2ee: planned.e2ee?.say(data, answered),
    accountData: planned.accountData?.say(data, answered),
    receipts: planned.receipts?.say(data, answered),
    typing: planned.typing?.say(data, answered),
  };
  return {
    response: {
      toDevice: said.toDevice?.answer,
      e2ee: said.e2ee?.answer,
      accountData: said.accountData?.answer,
      receipts: said.receipts?.answer,
      typing: said.typing?.answer,
    },
    hasNews: Object.values(said).some((each) => each?.isNews === true),
  };
}
