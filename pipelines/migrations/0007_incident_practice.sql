-- What some sources know of an incident beside its times: whether it was kept within its agreement, how long it waited for
-- others, and how it was reviewed and led. All null where a source has it not.

ALTER TABLE raw.incidents ADD COLUMN is_major BOOLEAN;
ALTER TABLE raw.incidents ADD COLUMN sla_met BOOLEAN;
ALTER TABLE raw.incidents ADD COLUMN on_hold_s INTEGER;
ALTER TABLE raw.incidents ADD COLUMN review_at TIMESTAMP;
ALTER TABLE raw.incidents ADD COLUMN actions_total INTEGER;
ALTER TABLE raw.incidents ADD COLUMN actions_done INTEGER;
ALTER TABLE raw.incidents ADD COLUMN commander VARCHAR;
ALTER TABLE raw.incidents ADD COLUMN communications VARCHAR;
ALTER TABLE raw.incidents ADD COLUMN experts VARCHAR;
