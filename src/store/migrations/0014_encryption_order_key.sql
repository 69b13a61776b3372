-- Where in the timeline a room that was known became encrypted: who left before sees it as it was. NULL: it always was, or is not.
ALTER TABLE rooms ADD COLUMN encryption_order_key bigint;
