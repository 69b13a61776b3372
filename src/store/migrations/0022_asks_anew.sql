-- The cache was dropped: all rooms are asked for anew, once, before the device's stream goes on from `since`. The number is the
-- timeout of that request in milliseconds: with another one, a homeserver does not repeat an answer from before. NULL: nothing is.
ALTER TABLE devices ADD COLUMN asks_anew integer;
