-- The user has forgotten the room (POST /rooms/{roomId}/forget): once they are out of it, no list shows it. A return ends it.
ALTER TABLE memberships ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
