-- The ledger of promises: what came of risks and tickets, and what came unforeseen. A row is made by one night,
-- settled_as_of, when its time is over, and stays as it is.

CREATE TABLE forecasting.settlements (
    as_of           TIMESTAMP NOT NULL,     -- the night that said it
    series_id       UBIGINT NOT NULL,
    limit_name      VARCHAR NOT NULL,
    horizon_h       INTEGER NOT NULL,
    signal          VARCHAR NOT NULL,
    direction       VARCHAR NOT NULL,
    limit_value     DOUBLE NOT NULL,
    p               DOUBLE NOT NULL,
    state           VARCHAR NOT NULL,       -- scored: nothing else is settled
    outcome         VARCHAR NOT NULL,       -- true | false | unknown
    crossed_at      TIMESTAMP,
    settled_as_of   TIMESTAMP NOT NULL
);

CREATE TABLE reports.ticket_outcomes (
    ticket_id       VARCHAR NOT NULL,
    outcome         VARCHAR NOT NULL,       -- came_true | averted | false_alarm | unknown
    crossed_at      TIMESTAMP,
    lead_hours      DOUBLE,                 -- from opening to crossing
    why             VARCHAR NOT NULL,
    settled_as_of   TIMESTAMP NOT NULL
);

CREATE TABLE reports.misses (
    series_id       UBIGINT NOT NULL,
    entity          VARCHAR NOT NULL,
    metric          VARCHAR NOT NULL,
    signal          VARCHAR NOT NULL,
    direction       VARCHAR NOT NULL,
    limit_name      VARCHAR NOT NULL,
    limit_value     DOUBLE NOT NULL,
    crossed_at      TIMESTAMP NOT NULL,
    reason          VARCHAR NOT NULL,       -- why no ticket foresaw it (reports.ticket_misses)
    p               DOUBLE,                 -- the highest of the nights within the horizon before
    settled_as_of   TIMESTAMP NOT NULL
);
