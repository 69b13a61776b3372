-- Facts: what was learnt from homeservers, each with the stream position at which it was learnt.
-- Words and rules: docs/concepts/stream-positions.md and docs/concepts/chunks-and-attestation.md.

-- The highest stream position ever issued. Part of the loss ledger: numbers are never issued twice.
CREATE TABLE stream_head (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  position  bigint NOT NULL
);
INSERT INTO stream_head (position) VALUES (0);

-- Numbers are handed out in blocks: each call reserves as many as the increment, so that a writer rarely asks.
CREATE SEQUENCE batch_ids INCREMENT 1000;
CREATE SEQUENCE event_nids INCREMENT 1000;
CREATE SEQUENCE chunk_nids INCREMENT 1000;

-- One row per batch: everything that carries this batch number was learnt at this position.
CREATE TABLE changes (
  position     bigint PRIMARY KEY,
  batch        bigint NOT NULL UNIQUE,
  stream       smallint NOT NULL,   -- ChangeStream in src/model/change.ts
  room         integer,             -- the room that changed, for all its readers
  user_nid     integer,             -- the user for whom something changed; with `room`: for this user in that room
  device_nid   integer,             -- the device for which something changed
  flags        smallint NOT NULL,   -- ChangeFlag in src/model/change.ts
  received_us  bigint               -- when the last byte of the homeserver's response was read (microseconds)
);
CREATE INDEX changes_by_room ON changes (room, position) WHERE room IS NOT NULL;

-- Users whose devices use Slidecar.
CREATE TABLE users (
  user_nid  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id   text NOT NULL UNIQUE
);

CREATE TABLE rooms (
  room                  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  room_id               text NOT NULL UNIQUE,
  is_complete           boolean NOT NULL DEFAULT false,  -- a whole baseline with m.room.create is stored
  quarantined           text,           -- why the room is set aside; NULL: it is not
  room_version          text,
  room_type             text,
  name                  text,           -- m.room.name, never empty
  avatar                text,           -- m.room.avatar, an mxc URL
  is_encrypted          boolean NOT NULL DEFAULT false,
  history_visibility    smallint NOT NULL DEFAULT 2,  -- Visibility; 2: shared
  tombstone_successor   text,
  joined_count          integer,
  invited_count         integer,
  first_order_key       bigint,         -- of the oldest timeline event
  last_order_key        bigint,         -- of the newest timeline event
  last_chunk            bigint,
  last_batch            bigint,         -- of the newest fact of the room
  activity_batch        bigint,         -- order in lists: position of this batch, else activity_us
  activity_us           bigint NOT NULL DEFAULT 0,
  bump_batch            bigint,         -- bump_stamp likewise
  bump_us               bigint NOT NULL DEFAULT 0
);

-- Event bodies as the homeserver sent them, without what is personal (`unsigned`) or redundant (`room_id`).
CREATE TABLE events (
  nid               bigint PRIMARY KEY,
  room              integer NOT NULL,
  event_id          text NOT NULL,
  type              text NOT NULL,
  state_key         text,
  sender            text NOT NULL,
  origin_server_ts  bigint NOT NULL,   -- milliseconds
  order_key         bigint,            -- NULL: known as state only, stands in no timeline
  chunk             bigint,
  batch             bigint NOT NULL,
  visibility        smallint NOT NULL, -- history visibility in force at the event; Visibility in src/model/visibility.ts
  body              bytea NOT NULL,
  unsigned          bytea,             -- members of `unsigned` that are the same for every reader, as a JSON object
  UNIQUE (event_id, room)              -- in old room versions servers choose ids, so one may occur in two rooms
);
ALTER TABLE events ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX events_in_order ON events (room, order_key) WHERE order_key IS NOT NULL;

-- Runs of events in which nothing is missing for those they are attested for.
CREATE TABLE chunks (
  chunk         bigint PRIMARY KEY,
  room          integer NOT NULL,
  attested_for  integer,            -- user_nid; NULL: everybody
  continues     boolean NOT NULL,   -- nothing is missing between this chunk and the one before it, for the same readers
  is_start      boolean NOT NULL DEFAULT false  -- begins with m.room.create
);

-- Exact back-pagination tokens: `/messages?dir=b&from=token` returns what stands before this event.
CREATE TABLE batch_tokens (
  room       integer NOT NULL,
  order_key  bigint NOT NULL,
  token      text NOT NULL,
  PRIMARY KEY (room, order_key)
);

-- `next_batch` of the response that a batch of a room came with: a token at or after all its events.
CREATE TABLE response_tokens (
  batch  bigint PRIMARY KEY,
  token  text NOT NULL
);

CREATE TABLE current_state (
  room       integer NOT NULL,
  type       text NOT NULL,
  state_key  text NOT NULL,
  nid        bigint NOT NULL,
  batch      bigint NOT NULL,
  PRIMARY KEY (room, type, state_key)
);

-- What changed in current state after the baseline, for deltas and for state as of a departure.
CREATE TABLE state_deltas (
  batch      bigint NOT NULL,
  room       integer NOT NULL,
  type       text NOT NULL,
  state_key  text NOT NULL,
  nid        bigint,              -- the value from then on
  prev_nid   bigint,              -- the value until then; NULL: none
  PRIMARY KEY (batch, type, state_key)
);

-- Own membership of users whose devices use Slidecar.
CREATE TABLE memberships (
  user_nid            integer NOT NULL,
  room                integer NOT NULL,
  membership          smallint NOT NULL,   -- Membership in src/model/membership.ts
  sender              text NOT NULL,
  nid                 bigint,              -- the member event, where it is stored as an event
  batch               bigint NOT NULL,     -- of the last change
  since_batch         bigint NOT NULL,     -- of the last change from one membership to another
  since_order_key     bigint,              -- where that change stands in the timeline; NULL: before all that is stored
  departure_nid       bigint,              -- own member event of a departure
  stripped            bytea,               -- invite and knock: stripped state as a JSON array
  stripped_us         bigint,              -- when the invite or knock was sent, for the order in lists
  heroes              text[],
  notification_count  integer NOT NULL DEFAULT 0,
  highlight_count     integer NOT NULL DEFAULT 0,
  counts_batch        bigint,
  PRIMARY KEY (user_nid, room)
);
CREATE INDEX memberships_by_room ON memberships (room);

-- `unsigned.transaction_id`, for the device that sent the event only.
CREATE TABLE transaction_ids (
  nid             bigint NOT NULL,
  device_nid      integer NOT NULL,
  transaction_id  text NOT NULL,
  PRIMARY KEY (nid, device_nid)
);

CREATE TABLE account_data (
  user_nid  integer NOT NULL,
  room      integer NOT NULL,   -- 0: global
  type      text NOT NULL,
  body      bytea NOT NULL,     -- the whole event, {"type":…,"content":…}
  batch     bigint NOT NULL,
  PRIMARY KEY (user_nid, room, type)
);

CREATE TABLE receipts (
  room          integer NOT NULL,
  user_id       text NOT NULL,
  receipt_type  text NOT NULL,
  thread_id     text NOT NULL,      -- '': unthreaded
  event_id      text NOT NULL,
  ts            bigint NOT NULL,    -- milliseconds; only moves forward
  batch         bigint NOT NULL,
  PRIMARY KEY (room, user_id, receipt_type, thread_id)
);

CREATE TABLE typing (
  room      integer PRIMARY KEY,
  user_ids  text[] NOT NULL,
  heard_at  timestamptz NOT NULL,
  batch     bigint NOT NULL
);

-- Draws one position per batch, in the order given, and makes the batches visible as of them. Called last in a
-- transaction: the lock is held until its commit. Returns the first position; the others follow without gap.
CREATE FUNCTION publish_changes(
  batches bigint[], streams smallint[], rooms integer[], user_nids integer[], device_nids integer[],
  flags smallint[], received_us bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  count bigint := cardinality(batches);
  last  bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(7304981);
  UPDATE stream_head AS h
     SET position = GREATEST(h.position + count, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
  RETURNING h.position INTO last;
  INSERT INTO changes (position, batch, stream, room, user_nid, device_nid, flags, received_us)
  SELECT last - count + c.n, c.batch, c.stream, c.room, c.user_nid, c.device_nid, c.flag, publish_changes.received_us
    FROM unnest(batches, streams, rooms, user_nids, device_nids, publish_changes.flags)
         WITH ORDINALITY AS c (batch, stream, room, user_nid, device_nid, flag, n);
  RETURN last - count + 1;
END $$;
