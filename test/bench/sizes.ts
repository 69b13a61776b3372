/** How much of everything one run has. */
export interface Sizes {
  /** Rooms of the account with many rooms. */
  readonly ownerRooms: number;
  /** Rooms of the account that is taken in while others live; 0: none. */
  readonly heavyRooms: number;
  /** Users whose first request is made with nothing of them in memory. */
  readonly coldUsers: number;
  /** The first of them, which are not measured: the code is compiled meanwhile. */
  readonly warmUpUsers: number;
  /** The same with nothing of the database in memory either. */
  readonly databaseColdUsers: number;
  /** Requests for windows of rooms that are not in memory, before those that are measured. */
  readonly coldWarmUps: number;
  /** Starts of the serving process that are measured. */
  readonly restarts: number;
  /** First requests with everything in memory. */
  readonly warmRequests: number;
  /** Requests that find nothing changed: so many that one more collection of garbage makes no difference. */
  readonly unchangedRequests: number;
  /** The same with each set of extensions. */
  readonly extensionRequests: number;
  /** Devices that are woken, one after the other. */
  readonly pushes: number;
  /** Answers with to-device messages. */
  readonly toDeviceAnswers: number;
  /** Answers that tell a connection something. */
  readonly tellingAnswers: number;
  readonly liveSeconds: number;
  /** How many of the scenes of live events, the simplest first. */
  readonly liveScenes: number;
  readonly floodSeconds: number;
  readonly floodUsers: number;
  /** Rooms that are stored when the service starts. */
  readonly startRooms: number;
  /** Those of them that the first user to ask has. */
  readonly startUserRooms: number;
  readonly starts: number;
}

/**
 * Times as many requests of other devices before the measured ones. V8 compiles code for good only once it has run some thousand
 * times: with fewer, the answers of the first minute are measured, not those of the days after it.
 */
export const WARM_UPS = 3;

export const FULL: Sizes = {
  ownerRooms: 10_000,
  heavyRooms: 27_500,
  coldUsers: 50,
  warmUpUsers: 10,
  coldWarmUps: 350,
  databaseColdUsers: 30,
  restarts: 15,
  warmRequests: 1_000,
  unchangedRequests: 6_000,
  extensionRequests: 2_000,
  pushes: 1_000,
  toDeviceAnswers: 1_000,
  tellingAnswers: 1_000,
  liveScenes: 4,
  liveSeconds: 20,
  floodSeconds: 10,
  floodUsers: 50,
  startRooms: 100_000,
  startUserRooms: 1_000,
  starts: 5,
};

export const SMOKE: Sizes = {
  ownerRooms: 2_000,
  heavyRooms: 0,
  coldUsers: 4,
  warmUpUsers: 1,
  coldWarmUps: 20,
  databaseColdUsers: 2,
  restarts: 1,
  warmRequests: 100,
  unchangedRequests: 200,
  extensionRequests: 200,
  pushes: 100,
  toDeviceAnswers: 100,
  tellingAnswers: 100,
  liveScenes: 1,
  liveSeconds: 3,
  floodSeconds: 3,
  floodUsers: 50,
  startRooms: 20_000,
  startUserRooms: 1_000,
  starts: 1,
};
