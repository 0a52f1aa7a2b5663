-- To whom the incident report of which night was sent, so that none is sent twice and none is lost.

CREATE TABLE reports.distribution (
    destination         VARCHAR NOT NULL,   -- its name in the settings
    night               DATE NOT NULL,      -- the night whose report it is; one row each
    state               VARCHAR NOT NULL,   -- intended | done | failed
    number              INTEGER NOT NULL,   -- 1; one more for each time that somebody asked for it again
    taken               VARCHAR[] NOT NULL, -- while it failed for some: the recipients who have it all the same
    error               VARCHAR,            -- why it failed; without secrets
    changed_at          TIMESTAMP NOT NULL
);
