-- Maintenance and known-bad windows, with the nights that knew them: a night that is run again knows what it knew.

CREATE TABLE raw.known_bad (
    source          VARCHAR NOT NULL,   -- settings, calendar <file>, alertmanager <address>
    told_as         VARCHAR NOT NULL,   -- its id at the source; empty where it has none there
    starts_at       TIMESTAMP NOT NULL,
    ends_at         TIMESTAMP NOT NULL, -- the first moment that is no longer in it
    entities        VARCHAR[] NOT NULL, -- globs, like the next two; empty: any
    services        VARCHAR[] NOT NULL,
    metrics         VARCHAR[] NOT NULL,
    why             VARCHAR NOT NULL,
    first_known     TIMESTAMP NOT NULL, -- as_of of the first night that knew it
    dropped         TIMESTAMP           -- as_of of the first night that no longer did; NULL: it still holds
);
