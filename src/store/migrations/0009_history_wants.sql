-- Older events that readers asked for and that are not stored. A row outlives its answer for a while, so that what the
-- homeserver does not give is not asked for with every request.
CREATE TABLE history_wants (
  user_nid    integer NOT NULL,      -- as whom to ask
  room        integer NOT NULL,
  token       text NOT NULL,         -- `/messages?dir=b&from=token`
  anchor      text,                  -- the stored event right after what the token's page ends with; NULL: not known which
  visibility  smallint NOT NULL,     -- in force before the hole's event
  events      integer NOT NULL,      -- how many to ask for
  again_at    timestamptz NOT NULL,  -- from then on it may be asked for again
  is_taken    boolean NOT NULL DEFAULT false,
  is_settled  boolean NOT NULL DEFAULT false,
  PRIMARY KEY (user_nid, room, token)
);
