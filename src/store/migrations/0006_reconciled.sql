-- When the rooms of a user were last compared with the homeserver's.
ALTER TABLE users ADD COLUMN reconciled_at timestamptz;
