-- What changed in the state of a room since somebody departed is read without all that happened there since.
CREATE INDEX changes_of_state ON changes (room, position) WHERE room IS NOT NULL AND flags & 8 <> 0;
