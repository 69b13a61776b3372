-- Whether a device sent an event is known when its own stream brings the event: with a transaction id, or without one. Until then
-- answers to the device wait for a short time (docs/concepts/own-events.md).
-- transaction_id NULL: the device's stream brought the event, which its user had just sent, without one.
ALTER TABLE transaction_ids ALTER COLUMN transaction_id DROP NOT NULL;
