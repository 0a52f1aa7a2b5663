-- How far tonight's probabilities can be trusted, and who contended to draw the paths beside them.

CREATE TABLE forecasting.calibration (
    as_of               TIMESTAMP NOT NULL,
    model               VARCHAR NOT NULL,
    shape               VARCHAR NOT NULL,   -- of the series when it was asked; all: every one of them
    horizon_h           INTEGER NOT NULL,
    prior               VARCHAR NOT NULL,   -- what was known before the fleet had a past of its own
    lessons             INTEGER NOT NULL,   -- settled questions that tonight's model learnt from
    learnt_from         TIMESTAMP NOT NULL, -- when the first of them was asked
    learnt_until        TIMESTAMP NOT NULL, -- and the last
    questions           INTEGER NOT NULL,   -- settled lately, and answered before they were learnt from
    crossed             INTEGER NOT NULL,   -- of these
    mean_p              DOUBLE NOT NULL,
    brier               DOUBLE NOT NULL,
    climatology_brier   DOUBLE NOT NULL,    -- of always answering the share that crossed
    calibration_error   DOUBLE NOT NULL,    -- mean distance between p and the share that crossed, over tenths of p
    bins                STRUCT(p DOUBLE, share DOUBLE, n INTEGER)[] NOT NULL    -- these tenths: a reliability diagram
);

CREATE TABLE forecasting.tournament (
    as_of               TIMESTAMP NOT NULL,
    model               VARCHAR NOT NULL,   -- a challenger of the ensemble
    shape               VARCHAR NOT NULL,
    entered             INTEGER NOT NULL,   -- series
    served              INTEGER NOT NULL,   -- series: it won there
    cuts                INTEGER NOT NULL,   -- tests in all: series times past cuts
    pinball             DOUBLE,             -- mean over them, in units of each series' spread
    champion_pinball    DOUBLE,             -- the ensemble's, on the same tests
    coverage_80         DOUBLE              -- share of held-out hours inside [q10, q90]
);

ALTER TABLE features.profiles ADD COLUMN ceiling DOUBLE;        -- from where resets come again and again
ALTER TABLE features.profiles ADD COLUMN ceiling_share DOUBLE;  -- 0..1, of the last cycles that ended near it
ALTER TABLE features.profiles ADD COLUMN warm_up_to DOUBLE;     -- the plateau that a flattening rise is heading for
