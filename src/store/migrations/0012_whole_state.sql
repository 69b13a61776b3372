-- A state key may lose its value, as no stream tells: NULL stands for none, so that claims stand against that as against any value.
ALTER TABLE current_state ALTER COLUMN nid DROP NOT NULL;
-- When the state of a room was last compared with the homeserver's.
ALTER TABLE rooms ADD COLUMN state_compared_at timestamptz;

-- With this batch all members of the room were known, and changes of them were told since; NULL: they are not all known.
ALTER TABLE rooms ADD COLUMN members_batch bigint;
-- Names the reading of all members that is under way; a gap ends it, so that what was read before does not count for what came after.
ALTER TABLE rooms ADD COLUMN members_reading bigint;

-- Rooms of which a client wants all members, while they are not all known.
CREATE TABLE member_wishes (
  room         integer PRIMARY KEY,
  user_nid     integer NOT NULL,                    -- as whom to read them: the last who asked
  wanted_at    timestamptz NOT NULL DEFAULT now(),
  taken_until  timestamptz,                         -- a process reads them, or waits before the next attempt
  attempts     integer NOT NULL DEFAULT 0
);
CREATE SEQUENCE member_readings;
