-- What the extensions of an answer read of rooms.

-- Receipts are told of by change: of a busy room few changes of thousands are receipts.
CREATE INDEX changes_of_receipts ON changes (room, position) INCLUDE (batch) WHERE stream = 4;

-- Typing of which no end was heard has to be ended.
CREATE INDEX typing_going_on ON typing (heard_at) WHERE user_ids <> '{}';
