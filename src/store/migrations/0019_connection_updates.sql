-- What the log keeps of an update is what stands between the first and the last byte that differ. The state, which is long and
-- stays as it is when a position is confirmed, stands last.
ALTER TABLE connections ADD COLUMN state bytea;
UPDATE connections SET state = base;
ALTER TABLE connections DROP COLUMN base;
ALTER TABLE connections RENAME COLUMN state TO base;
ALTER TABLE connections ALTER COLUMN base SET NOT NULL;

-- As before, but that it takes no lock before it updates: that would be written to the log as well.
CREATE OR REPLACE FUNCTION use_connection(
  wanted bigint, for_user integer, for_device text, for_conn_id text, presented bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before  bigint;
  is_idle boolean;
BEGIN
  -- Most requests present what is confirmed already. They write nothing, not even a lock.
  SELECT c.confirmed, c.used_at < now() - interval '5 minutes' INTO before, is_idle FROM connections AS c
   WHERE c.connection = wanted AND c.user_nid = for_user AND c.device_id = for_device AND c.conn_id = for_conn_id;
  IF before IS NULL OR (before = presented AND NOT is_idle) THEN
    RETURN before;
  END IF;
  -- It waits for a request that is just confirming another position, and looks again; for the disk it does not: what is lost with
  -- a crash of the server is a client's last step, and it starts the connection anew.
  UPDATE connections AS c SET confirmed = presented, used_at = now()
    FROM set_config('synchronous_commit', 'off', true)
   WHERE c.connection = wanted AND c.confirmed = before
     AND (before = presented
          OR EXISTS (SELECT FROM connection_deltas AS d
                      WHERE d.connection = wanted AND d.position = presented AND d.parent = before));
  IF NOT FOUND THEN
    -- Another request may have confirmed the same position just now.
    PERFORM FROM connections WHERE connection = wanted AND confirmed = presented;
    RETURN CASE WHEN FOUND THEN presented END;
  END IF;
  DELETE FROM connection_deltas
   WHERE connection = wanted AND position > before AND parent = before AND position <> presented AND before <> presented;
  IF before = 0 THEN
    -- One that is being used or removed at this moment is passed over: waiting for each other would lead nowhere.
    DELETE FROM connections WHERE connection IN (
      SELECT c.connection FROM connections AS c
       WHERE c.user_nid = for_user AND c.device_id = for_device AND c.conn_id = for_conn_id AND c.connection <> wanted
         FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN before;
END $$;
