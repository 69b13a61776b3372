/** How far each kind of news has come. */
export interface Streams {
  room: number;
  typing: number;
  receipt: number;
  accountData: number;
  pushRules: number;
  toDevice: number;
  deviceList: number;
}

/** Synapse's counters on an empty database. */
const START: Streams = { room: 1, typing: 0, receipt: 1, accountData: 1, pushRules: 1, toDevice: 1, deviceList: 1 };

/** With one counter every stream stands where it stands, and to move one moves all. */
export function createStreams(hasOneCounter: boolean): Streams {
  if (!hasOneCounter) return { ...START };
  let counter = 1;
  const property = {
    enumerable: true,
    get: () => counter,
    set: (value: number) => {
      counter = Math.max(counter, value);
    },
  };
  return Object.defineProperties({}, Object.fromEntries(Object.keys(START).map((name) => [name, property]))) as Streams;
}
