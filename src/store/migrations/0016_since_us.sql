-- When the membership began, of one that a device's first sync or a catch-up tells of; NULL: when it was learnt. For the order in lists.
ALTER TABLE memberships RENAME COLUMN stripped_us TO since_us;
