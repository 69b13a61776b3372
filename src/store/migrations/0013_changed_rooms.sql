-- A long response puts what is its user's own in thousands of rooms into few batches. Which rooms, the change says itself:
-- to look for them among all rooms of the user would take longer with every room that arrives.
ALTER TABLE changes ADD COLUMN rooms integer[];  -- the rooms in which something changed for `user_nid`; `room` is NULL then

DROP FUNCTION publish_changes(bigint[], smallint[], integer[], integer[], integer[], smallint[], bigint);

-- As before; `many` has the rooms of each change as an array literal, or NULL.
CREATE FUNCTION publish_changes(
  batches bigint[], streams smallint[], rooms integer[], user_nids integer[], device_nids integer[],
  flags smallint[], received_us bigint, many text[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  count bigint := cardinality(batches);
  last  bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(7304981);
  UPDATE stream_head AS h
     SET position = GREATEST(h.position + count, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
  RETURNING h.position INTO last;
  INSERT INTO changes (position, batch, stream, room, user_nid, device_nid, flags, received_us, rooms)
  SELECT last - count + c.n, c.batch, c.stream, c.room, c.user_nid, c.device_nid, c.flag, publish_changes.received_us,
         c.many::integer[]
    FROM unnest(batches, streams, publish_changes.rooms, user_nids, device_nids, publish_changes.flags, publish_changes.many)
         WITH ORDINALITY AS c (batch, stream, room, user_nid, device_nid, flag, many, n);
  RETURN last - count + 1;
END $$;
