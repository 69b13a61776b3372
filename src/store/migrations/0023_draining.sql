-- A row: the installation is being left. No device is polled, so that nothing more is taken from the homeserver; what is stored goes
-- on to be delivered.
CREATE TABLE draining (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  since     timestamptz NOT NULL DEFAULT now()
);
