-- With every answer that was stored, its connection was looked up once more and locked, which is written to the log, although the
-- statement that stores it holds that row already, until it commits. Now connections take their deltas with them.

-- Processes that answer meanwhile lock these tables in either order, and go on when this one gives up: no two wait for each other
-- for so long that the server ends one of them.
DO $$
BEGIN
  SET LOCAL lock_timeout = '100ms';
  LOOP
    BEGIN
      LOCK TABLE connections, connection_deltas;
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.5);
    END;
  END LOOP;
END $$;

ALTER TABLE connection_deltas DROP CONSTRAINT connection_deltas_connection_fkey;

-- A removal waits for whoever holds the row. What was stored until then is later than the snapshot of its statement, and is seen
-- only because each statement of a volatile function has a new one.
CREATE FUNCTION remove_deltas() RETURNS trigger LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  DELETE FROM connection_deltas WHERE connection = ANY (ARRAY(SELECT connection FROM removed));
  RETURN NULL;
END $$;

CREATE TRIGGER remove_deltas AFTER DELETE ON connections REFERENCING OLD TABLE AS removed
  FOR EACH STATEMENT EXECUTE FUNCTION remove_deltas();
