-- A known text sealed with each secret that tokens are sealed with: tells at start whether the configured secret is right.
CREATE TABLE secret_canary (
  key_id  bytea PRIMARY KEY,
  sealed  bytea NOT NULL
);
