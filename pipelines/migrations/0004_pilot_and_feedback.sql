-- Which services' tickets leave the house, by what record, and what people say of the tickets that they got.

CREATE TABLE reports.service_modes (
    as_of               TIMESTAMP NOT NULL,
    service             VARCHAR,            -- NULL: entities that no service owns
    mode                VARCHAR NOT NULL,   -- shadow | pilot | live, as the settings say
    published           BOOLEAN NOT NULL,   -- whether new tickets go to the trackers
    changed             BOOLEAN NOT NULL,   -- whether that was otherwise on the night before
    record              VARCHAR,            -- ledger | replay: what decided, or would; NULL: neither has a ticket
    nights              INTEGER NOT NULL,   -- that the record covers
    tickets             INTEGER NOT NULL,   -- opened on them
    settled             INTEGER NOT NULL,   -- came true, averted or false alarm
    kept                INTEGER NOT NULL,   -- came true or averted
    reason              VARCHAR NOT NULL
);

CREATE TABLE reports.replays (
    recorded_at         TIMESTAMP NOT NULL,
    first_as_of         TIMESTAMP NOT NULL,
    last_as_of          TIMESTAMP NOT NULL,
    proves              VARCHAR NOT NULL,   -- digest of the settings that decide tickets: of others it proves nothing
    service             VARCHAR,            -- NULL: entities that no service owns
    nights              INTEGER NOT NULL,
    tickets             INTEGER NOT NULL,
    settled             INTEGER NOT NULL,
    kept                INTEGER NOT NULL
);

CREATE TABLE reports.feedback (
    ticket_id           VARCHAR NOT NULL,
    given_by            VARCHAR NOT NULL,   -- one opinion each: the newest
    useful              BOOLEAN NOT NULL,
    worked_at           TIMESTAMP,          -- when somebody acted on the ticket, if anybody did
    note                VARCHAR,
    given_at            TIMESTAMP NOT NULL
);
