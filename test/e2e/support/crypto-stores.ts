// Crypto stores of clients that are stopped and started again. The SDK keeps one in IndexedDB or gives it up with the client.
import { StoreHandle } from "@matrix-org/matrix-sdk-crypto-wasm";

const stores = new Map<string, Promise<StoreHandle>>();
let areKept = false;

/** From now on a store that is opened by a name is in memory, and is the same whenever that name is opened. */
export function keepCryptoStores(): void {
  if (areKept) return;
  areKept = true;
  const open = StoreHandle.open.bind(StoreHandle);
  StoreHandle.open = async (name, passphrase, logger) => {
    if (typeof name !== "string") return await open(name, passphrase, logger);
    const store = stores.get(name) ?? open(null, null, logger).then(withoutEnd);
    stores.set(name, store);
    return await store;
  };
}

/** The SDK frees a store that a machine has been made from. */
function withoutEnd(store: StoreHandle): StoreHandle {
  store.free = () => {};
  return store;
}
