-- Of which owner's time the last response was stored: until there is one the device is still catching up.
ALTER TABLE devices ADD COLUMN caught_up_epoch bigint NOT NULL DEFAULT 0;
