-- The loss ledger (devices, to-device messages, device-list changes) and what connections were told.
-- Rules: docs/concepts/connections.md.

CREATE TABLE devices (
  device_nid       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_nid         integer NOT NULL REFERENCES users,
  device_id        text NOT NULL,
  token            bytea,              -- the client's access token, encrypted; NULL: refused by the homeserver
  token_hash       bytea,              -- keyed hash of it
  since            text,               -- where this device's v2 stream goes on; NULL: nothing was stored yet
  is_synced        boolean NOT NULL DEFAULT false,  -- the first sync was stored to its end
  wanted_at        timestamptz NOT NULL DEFAULT now(),  -- when a client last asked for it
  forwarded_for    text,
  user_agent       text,
  owner            integer,            -- process that polls it: the key of that process's session lock
  epoch            bigint NOT NULL DEFAULT 0,  -- fencing token: grows with every change of owner, checked by every write
  lease_until      timestamptz,
  one_time_keys    bytea,              -- device_one_time_keys_count, a JSON object
  fallback_keys    bytea,              -- device_unused_fallback_key_types, a JSON array
  keys_batch       bigint,
  UNIQUE (user_nid, device_id)
);

CREATE TABLE to_device_messages (
  device_nid  integer NOT NULL,
  sequence    bigint NOT NULL,     -- max(last + 1, clock in microseconds)
  body        bytea NOT NULL,
  batch       bigint NOT NULL,
  PRIMARY KEY (device_nid, sequence)
);
-- The highest sequence issued to a device outlives its messages.
CREATE TABLE to_device_heads (
  device_nid  integer PRIMARY KEY,
  sequence    bigint NOT NULL
);

CREATE TABLE device_list_log (
  device_nid  integer NOT NULL,
  batch       bigint NOT NULL,
  user_id     text NOT NULL,
  has_left    boolean NOT NULL,
  PRIMARY KEY (device_nid, batch, user_id)
);

CREATE TABLE connections (
  connection     bigint PRIMARY KEY,   -- max(last + 1, clock in microseconds)
  user_nid       integer NOT NULL,
  device_id      text NOT NULL,
  conn_id        text NOT NULL,
  confirmed      bigint NOT NULL,      -- the position that the client used last; 0: none yet
  base           bytea NOT NULL,       -- state at base_position
  base_position  bigint NOT NULL,
  used_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX connections_by_key ON connections (user_nid, device_id, conn_id);

CREATE TABLE connection_deltas (
  connection  bigint NOT NULL REFERENCES connections ON DELETE CASCADE,
  position    bigint NOT NULL,
  parent      bigint NOT NULL,
  delta       bytea NOT NULL,
  PRIMARY KEY (connection, position)
);

-- Confirms a position that a client presents. Returns the position that was confirmed before, or NULL: nothing can be
-- honoured. A new confirmed position ends its parent and its siblings; the first use of a connection ends the others of
-- its key.
CREATE FUNCTION use_connection(
  wanted bigint, for_user integer, for_device text, for_conn_id text, presented bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before  bigint;
  is_idle boolean;
BEGIN
  -- Most requests present what is confirmed already. They write nothing, not even a lock.
  SELECT c.confirmed, c.used_at < now() - interval '5 minutes' INTO before, is_idle FROM connections AS c
   WHERE c.connection = wanted AND c.user_nid = for_user AND c.device_id = for_device AND c.conn_id = for_conn_id;
  IF before = presented AND NOT is_idle THEN
    RETURN presented;
  END IF;
  -- What is lost with a crash of the server is a client's last step: it starts the connection anew.
  PERFORM set_config('synchronous_commit', 'off', true);
  SELECT c.confirmed INTO before FROM connections AS c
   WHERE c.connection = wanted AND c.user_nid = for_user AND c.device_id = for_device AND c.conn_id = for_conn_id
     FOR UPDATE;
  IF before <> presented THEN
    PERFORM FROM connection_deltas WHERE connection = wanted AND position = presented AND parent = before;
    IF NOT FOUND THEN
      RETURN NULL;
    END IF;
  END IF;
  UPDATE connections SET confirmed = presented, used_at = now() WHERE connection = wanted;
  DELETE FROM connection_deltas
   WHERE connection = wanted AND parent = before AND position <> presented AND before <> presented;
  IF before = 0 THEN
    -- One that is being used or removed at this moment is passed over: waiting for each other would lead nowhere.
    DELETE FROM connections WHERE connection IN (
      SELECT c.connection FROM connections AS c
       WHERE c.user_nid = for_user AND c.device_id = for_device AND c.conn_id = for_conn_id AND c.connection <> wanted
         FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN before;
END $$;
