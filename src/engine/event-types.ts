/** State event types that the engine itself has to know (Matrix specification, "Room events"). */
export const CREATE = "m.room.create";
export const MEMBER = "m.room.member";
export const NAME = "m.room.name";
export const AVATAR = "m.room.avatar";
export const ENCRYPTION = "m.room.encryption";
