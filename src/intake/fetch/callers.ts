import type { DeviceNid, UserNid } from "../../model/ids.ts";
import type { Forwarded } from "../../model/upstream.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import type { SyncUpstream } from "../poller/poller-deps.ts";

/** A device in whose name the homeserver can be asked. */
export interface Caller {
  readonly device: ClaimedDevice;
  readonly token: string;
  readonly forwarded: Forwarded;
}

/** The devices that are polled here, each with the token of its last poll. */
export class Callers {
  readonly #byUser = new Map<UserNid, Map<DeviceNid, Caller>>();

  /** The same upstream for the poller of a device, whose token is noted with each poll. */
  watch(device: ClaimedDevice, upstream: SyncUpstream): SyncUpstream {
    return {
      syncV2: (poll) => {
        this.#note({ device, token: poll.token, forwarded: poll.forwarded });
        return upstream.syncV2(poll);
      },
    };
  }

  /** The device's poller has ended. */
  forget(device: ClaimedDevice): void {
    const devices = this.#byUser.get(device.userNid);
    // Another poller of the device may have begun with a claim of its own.
    if (devices?.get(device.deviceNid)?.device !== device) return;
    devices.delete(device.deviceNid);
    if (devices.size === 0) this.#byUser.delete(device.userNid);
  }

  /** Any device of the user; undefined: none is polled here. */
  of(userNid: UserNid): Caller | undefined {
    return this.#byUser.get(userNid)?.values().next().value;
  }

  #note(caller: Caller): void {
    const { userNid, deviceNid } = caller.device;
    const devices = this.#byUser.get(userNid) ?? new Map<DeviceNid, Caller>();
    // The one that polled last is looked at first: its token is the freshest.
    const others = [...devices].filter(([device]) => device !== deviceNid);
    this.#byUser.set(userNid, new Map([[deviceNid, caller], ...others]));
  }
}
