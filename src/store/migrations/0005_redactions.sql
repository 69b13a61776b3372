-- Redacted events, those included that are not stored yet: what comes later is stored in redacted form.
CREATE TABLE redactions (
  room       integer NOT NULL,
  event_id   text NOT NULL,    -- the redacted event
  redaction  text NOT NULL,    -- event id of its m.room.redaction; '': the homeserver did not say
  PRIMARY KEY (room, event_id)
);
-- A redacted event holds a copy of its redaction, which follows when the redaction itself is redacted.
CREATE INDEX redactions_by_redaction ON redactions (redaction, room);

-- The state event before it, whose content `unsigned` repeats as `prev_content`: it may be redacted, stored or not.
ALTER TABLE events ADD COLUMN previous text;
CREATE INDEX events_by_previous ON events (previous, room) WHERE previous IS NOT NULL;
