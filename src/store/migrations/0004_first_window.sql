-- What can be shown before the homeserver has computed a device's first sync.

-- Rooms that /joined_rooms names, while the first sync of one of the user's devices is under way; NULL: memberships say all.
ALTER TABLE users ADD COLUMN announced_joined integer;
-- The first window was stored ahead of the first sync.
ALTER TABLE devices ADD COLUMN has_window boolean NOT NULL DEFAULT false;
