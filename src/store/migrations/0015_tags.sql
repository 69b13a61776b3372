-- Few rooms have tags, and all of a user's are read together.
CREATE INDEX account_data_tags ON account_data (user_nid) WHERE type = 'm.tag';
