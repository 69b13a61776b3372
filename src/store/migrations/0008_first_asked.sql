-- Everything at or below it was stored before the device's first sync was first asked for; NULL: that was before this was noted, or
-- nothing was asked for yet.
ALTER TABLE devices ADD COLUMN first_asked bigint;
