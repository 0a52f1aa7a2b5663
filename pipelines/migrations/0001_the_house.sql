-- The house's tables. Times are naive UTC timestamps; durations are seconds; probabilities lie in [0, 1].
-- No primary key on raw.samples and features.hourly: keys are kept by the publisher (an index there costs 25 x in
-- load time and 8 x in bytes); everywhere else the publisher replaces whole keys or whole nights in one transaction.

CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS features;
CREATE SCHEMA IF NOT EXISTS forecasting;
CREATE SCHEMA IF NOT EXISTS reports;

CREATE TABLE main.runs (
    run_id          VARCHAR NOT NULL,
    as_of           TIMESTAMP NOT NULL,
    started_at      TIMESTAMP NOT NULL,
    finished_at     TIMESTAMP,
    status          VARCHAR NOT NULL,   -- ingested | done | failed | stale
    note            VARCHAR,            -- why failed, or what made it stale
    versions        VARCHAR NOT NULL,   -- JSON: python, packages, schema, settings digest
    counts          VARCHAR NOT NULL    -- JSON: what the end-of-run table shows
);

CREATE TABLE raw.series (
    series_id       UBIGINT NOT NULL,   -- BLAKE2b-64 of the canonical JSON of source, entity, metric, identity labels
    source          VARCHAR NOT NULL,
    entity          VARCHAR NOT NULL,
    metric          VARCHAR NOT NULL,
    labels          VARCHAR NOT NULL,   -- canonical JSON object of the identity labels
    unit            VARCHAR,
    service         VARCHAR
);

CREATE TABLE raw.samples (
    series_id       UBIGINT NOT NULL,
    ts              TIMESTAMP_S NOT NULL,   -- kept to the second; 9.4 -> 6.8 bytes a row
    value           DOUBLE NOT NULL
);

-- A to-do list that survives a crash: days whose samples changed and whose hours are not yet rolled up and published.
CREATE TABLE raw.pending_days (
    source          VARCHAR NOT NULL,
    day             DATE NOT NULL,
    changed_by      VARCHAR NOT NULL    -- the last run that did; a day is struck off only as it was read
);

-- Before when raw samples are gone, whatever the settings say now. One row.
CREATE TABLE main.purged (
    samples_before  TIMESTAMP
);
INSERT INTO main.purged VALUES (NULL);

CREATE TABLE raw.incidents (
    source              VARCHAR NOT NULL,
    incident_id         VARCHAR NOT NULL,
    title               VARCHAR,
    service             VARCHAR,
    entity              VARCHAR,
    team                VARCHAR,
    category            VARCHAR,
    severity            VARCHAR,
    priority            VARCHAR,
    state               VARCHAR,
    started_at          TIMESTAMP,
    started_basis       VARCHAR,        -- field | changelog | sla | inferred, like every *_basis
    detected_at         TIMESTAMP,
    detected_basis      VARCHAR,
    created_at          TIMESTAMP NOT NULL,
    created_basis       VARCHAR NOT NULL,
    acknowledged_at     TIMESTAMP,
    acknowledged_basis  VARCHAR,
    mitigated_at        TIMESTAMP,
    mitigated_basis     VARCHAR,
    resolved_at         TIMESTAMP,
    resolved_basis      VARCHAR,
    closed_at           TIMESTAMP,
    closed_basis        VARCHAR,
    cancelled_at        TIMESTAMP,
    cancelled_basis     VARCHAR,
    updated_at          TIMESTAMP NOT NULL,   -- decides between two versions of one incident
    reopen_count        INTEGER,
    reassignment_count  INTEGER,
    is_predicted        BOOLEAN NOT NULL
);

CREATE TABLE raw.incident_events (
    source          VARCHAR NOT NULL,
    incident_id     VARCHAR NOT NULL,
    event_no        INTEGER NOT NULL,
    changed_at      TIMESTAMP NOT NULL,
    state           VARCHAR,
    team            VARCHAR,
    assignee        VARCHAR
);

CREATE TABLE raw.rejects (
    run_id          VARCHAR NOT NULL,
    row             BIGINT NOT NULL,    -- running number within the run
    source          VARCHAR NOT NULL,
    file            VARCHAR NOT NULL,
    file_row        BIGINT,             -- data row in the file, the first is 1
    reason          VARCHAR NOT NULL,
    detail          VARCHAR             -- the offending value, shortened
);

CREATE TABLE features.hourly (
    series_id       UBIGINT NOT NULL,
    hour            TIMESTAMP NOT NULL,
    mean            DOUBLE NOT NULL,
    min             DOUBLE NOT NULL,
    max             DOUBLE NOT NULL,
    last            DOUBLE NOT NULL,
    n               INTEGER NOT NULL
);

CREATE TABLE features.profiles (
    as_of               TIMESTAMP NOT NULL,
    series_id           UBIGINT NOT NULL,
    shape               VARCHAR NOT NULL,
    history_h           INTEGER NOT NULL,   -- hours from the first observed hour to as_of
    observed_h          INTEGER NOT NULL,   -- of these, observed
    longest_gap_h       INTEGER NOT NULL,
    step_h              DOUBLE,             -- median distance between observed hours
    level               DOUBLE,             -- median of the last 24 h
    spread              DOUBLE,             -- p95 - p5 of the last 7 days
    noise               DOUBLE,             -- robust sd of what trend and season leave over
    slope_per_day       DOUBLE,             -- robust slope since the last reset or step
    trend_strength      DOUBLE,             -- 0..1
    daily_strength      DOUBLE,             -- 0..1
    weekly_strength     DOUBLE,             -- 0..1
    resets              INTEGER NOT NULL,
    hours_since_reset   INTEGER,
    reset_peak          DOUBLE,             -- median value just before a reset
    reset_drop          DOUBLE,             -- median fall at a reset
    steps               INTEGER NOT NULL,
    hours_since_step    INTEGER,
    is_integer          BOOLEAN NOT NULL
);

CREATE TABLE forecasting.limits (
    series_id       UBIGINT NOT NULL,
    limit_name      VARCHAR NOT NULL,
    valid_from      TIMESTAMP NOT NULL,
    signal          VARCHAR NOT NULL,
    direction       VARCHAR NOT NULL,   -- up: risk is at or above the limit; down: at or below
    value           DOUBLE NOT NULL,
    lasts_h         INTEGER NOT NULL,   -- consecutive observed hours that make a crossing
    basis           VARCHAR NOT NULL    -- in words: where the value comes from
);

CREATE TABLE forecasting.forecasts (
    as_of           TIMESTAMP NOT NULL,
    series_id       UBIGINT NOT NULL,
    hour            TIMESTAMP NOT NULL,
    model           VARCHAR NOT NULL,
    q10             DOUBLE NOT NULL,
    q25             DOUBLE NOT NULL,
    q50             DOUBLE NOT NULL,
    q75             DOUBLE NOT NULL,
    q90             DOUBLE NOT NULL
);

CREATE TABLE forecasting.risks (
    as_of           TIMESTAMP NOT NULL,
    series_id       UBIGINT NOT NULL,
    limit_name      VARCHAR NOT NULL,
    horizon_h       INTEGER NOT NULL,
    signal          VARCHAR NOT NULL,
    direction       VARCHAR NOT NULL,
    limit_value     DOUBLE,
    state           VARCHAR NOT NULL,   -- scored | crossed | abstained
    p               DOUBLE,             -- null when abstained
    eta_p10         TIMESTAMP,          -- of the crossing, given that it comes within the longest horizon
    eta_p50         TIMESTAMP,
    eta_p90         TIMESTAMP,
    last_beyond_at  TIMESTAMP,          -- the last hour of the newest crossing before; where facts are kept
    model           VARCHAR,
    reason          VARCHAR,            -- of the abstention
    facts           VARCHAR             -- JSON list of sentences; only where p is above the floor
);

CREATE TABLE forecasting.models (
    as_of           TIMESTAMP NOT NULL,
    model           VARCHAR NOT NULL,
    shape           VARCHAR NOT NULL,
    horizon_h       INTEGER NOT NULL,
    series          INTEGER NOT NULL,   -- how many it served
    pinball         DOUBLE,             -- mean over the series' own past, in units of each series' spread
    coverage_80     DOUBLE              -- share of held-out hours inside [q10, q90]
);

CREATE TABLE forecasting.failures (
    as_of           TIMESTAMP NOT NULL,
    series_id       UBIGINT NOT NULL,
    stage           VARCHAR NOT NULL,
    error           VARCHAR NOT NULL
);

CREATE TABLE reports.ticket_events (
    ticket_id       VARCHAR NOT NULL,   -- fingerprint and the night it was opened
    as_of           TIMESTAMP NOT NULL,
    event_no        INTEGER NOT NULL,
    event           VARCHAR NOT NULL,   -- opened | updated | resolved
    reason          VARCHAR NOT NULL,
    fingerprint     VARCHAR NOT NULL,   -- 10 hex digits of BLAKE2b over entity, signal, limit_name, direction
    entity          VARCHAR NOT NULL,
    signal          VARCHAR NOT NULL,
    limit_name      VARCHAR NOT NULL,
    direction       VARCHAR NOT NULL,
    series_id       UBIGINT NOT NULL,   -- the series that leads: the most probable of the cause
    source          VARCHAR NOT NULL,
    metric          VARCHAR NOT NULL,
    unit            VARCHAR,
    service         VARCHAR,
    limit_value     DOUBLE NOT NULL,
    level           DOUBLE,
    horizon_h       INTEGER NOT NULL,
    probability     DOUBLE NOT NULL,
    eta_p10         TIMESTAMP,
    eta_p50         TIMESTAMP,
    eta_p90         TIMESTAMP,
    model           VARCHAR,
    shape           VARCHAR,
    facts           VARCHAR NOT NULL,   -- JSON list of sentences
    others          INTEGER NOT NULL    -- further series of the same cause at risk
);

CREATE VIEW reports.tickets AS
    SELECT * EXCLUDE (newest),
           CASE event WHEN 'resolved' THEN 'resolved' ELSE 'open' END AS status
    FROM (
        SELECT *,
               min(as_of) OVER (PARTITION BY ticket_id) AS opened_as_of,
               row_number() OVER (PARTITION BY ticket_id ORDER BY as_of DESC, event_no DESC) AS newest
        FROM reports.ticket_events
    )
    WHERE newest = 1;

-- Write-ahead for the outside world: the intent before the call, the tracker's key after it.
CREATE TABLE reports.publications (
    tracker         VARCHAR NOT NULL,
    ticket_id       VARCHAR NOT NULL,
    as_of           TIMESTAMP NOT NULL,
    event_no        INTEGER NOT NULL,
    state           VARCHAR NOT NULL,   -- intended | done | failed
    digest          VARCHAR NOT NULL,   -- of what was told: a night that is run again may tell it otherwise
    tracker_key     VARCHAR,
    error           VARCHAR,
    changed_at      TIMESTAMP NOT NULL
);

CREATE TABLE reports.incident_trends (
    as_of           TIMESTAMP NOT NULL,
    period          VARCHAR NOT NULL,   -- 2026-05 (a month of creation), or 'all'
    slice           VARCHAR NOT NULL,   -- all, service=..., severity=..., team=..., category=...
    measure         VARCHAR NOT NULL,   -- created, open_at_end, mttr_median, mtta_p90, ...
    n               INTEGER NOT NULL,   -- incidents that the value rests on
    value           DOUBLE,             -- seconds, share or count; null where withheld
    lo              DOUBLE,             -- 95 % interval, where there is one
    hi              DOUBLE
);
