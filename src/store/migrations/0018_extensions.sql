-- What the extensions of an answer read.

-- What changed last for a device, and what did since.
CREATE INDEX changes_by_device ON changes (device_nid, stream, position) WHERE device_nid IS NOT NULL;
-- Of its keys only what a client has to be woken for (ChangeStream.keys with a flag).
CREATE INDEX changes_of_fewer_keys ON changes (device_nid, position) WHERE stream = 8 AND flags <> 0;

-- A room of thousands of members has as many receipts; an answer wants those of a few events, or of the last change.
CREATE INDEX receipts_by_event ON receipts (room, event_id);
CREATE INDEX receipts_by_batch ON receipts (room, batch);

ALTER TABLE devices
  ADD COLUMN lists_told   bigint NOT NULL DEFAULT 0,   -- a client has all changes of device lists up to this position
  ADD COLUMN lists_floor  bigint NOT NULL DEFAULT 0;   -- changes of device lists up to this position are no longer logged
