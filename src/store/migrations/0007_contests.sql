-- What streams left open and the homeserver has to be asked, as users who may know. A row goes when it was answered.
CREATE TABLE contests (
  key       text NOT NULL,      -- names the question
  user_nid  integer NOT NULL,   -- as whom to ask
  body      text NOT NULL,      -- the question, as JSON
  PRIMARY KEY (key, user_nid)
);
CREATE INDEX contests_by_user ON contests (user_nid);
