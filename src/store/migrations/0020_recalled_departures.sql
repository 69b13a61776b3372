-- Rooms that users left so long ago that no stream tells of them, as the homeserver shows them when it is asked. A row counts
-- while the departure is the user's membership.
CREATE TABLE recalled_departures (
  user_nid      integer NOT NULL,
  room          integer NOT NULL,
  nid           bigint NOT NULL,     -- the member event of the departure
  timeline      bigint[] NOT NULL,   -- the last events that the user may see, oldest first; the departure is the last of them
  state         bigint[] NOT NULL,   -- state as of the departure; of members what the timeline needs
  token_before  text,                -- `/messages?dir=b&from=` this returns what stands before the first event
  token_after   text,                -- a token at or after the last one
  PRIMARY KEY (user_nid, room)
);

-- Rooms that users subscribe to and of which nothing of theirs is stored: whether they left them is asked once. A row outlives its
-- answer, so that what the homeserver does not give is not asked for with every request.
CREATE TABLE recalls (
  user_nid    integer NOT NULL,
  room_id     text NOT NULL,
  asked_at    timestamptz NOT NULL,
  again_at    timestamptz NOT NULL,  -- from then on it may be asked again
  is_taken    boolean NOT NULL DEFAULT false,
  is_settled  boolean NOT NULL DEFAULT false,
  PRIMARY KEY (user_nid, room_id)
);
