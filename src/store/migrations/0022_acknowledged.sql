-- The highest sequence that the client has said it has; 0: none, or it was not noted. A token above it that names no message that is
-- left was issued before an older database came back.
ALTER TABLE to_device_heads ADD COLUMN acknowledged bigint NOT NULL DEFAULT 0;
