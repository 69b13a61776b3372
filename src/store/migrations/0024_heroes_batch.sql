-- When a reader's heroes changed last; NULL: no later than they came into the room, or never. They come with the reader's own
-- stream, which may be after another one brought the members.
ALTER TABLE memberships ADD COLUMN heroes_batch bigint;
