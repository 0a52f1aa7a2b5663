-- What has been fetched from sources that are asked over a network, so that a night asks only for what is new and a hole
-- is filled later.

CREATE TABLE raw.fetched (
    source              VARCHAR NOT NULL,
    query               VARCHAR NOT NULL,   -- what was asked: a digest of the question, so another one is asked anew
    day                 DATE NOT NULL,      -- UTC
    until               TIMESTAMP NOT NULL, -- up to where that day was asked for
    complete            BOOLEAN NOT NULL,   -- whether nothing more can come: the day is over and settled, no answer was partial
    series              BIGINT NOT NULL,
    samples             BIGINT NOT NULL,
    run_id              VARCHAR NOT NULL
);
