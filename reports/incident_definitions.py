"""What each number of the incident report means, in words: the same on the page and in ``mttr.json``."""

CALENDAR = "24 x 7 calendar time, nights and waiting for others included; months in UTC"

MTTR = {
    "name": "time to resolve",
    "start": "created",
    "end": "resolved; the last resolution, where an incident was reopened",
    "calendar": CALENDAR,
}
MTTA = {
    "name": "time to acknowledge",
    "start": "created",
    "end": "acknowledged; the first state of work, where the system keeps no acknowledgement",
    "calendar": CALENDAR,
}

TERMS = {
    "period": "a calendar month in UTC; an incident belongs to the month in which it was created. "
    "The first may begin before the data do, the last ends with the night",
    "created": "incidents created in the period, without predictions and cancelled ones; "
    "lo and hi: exact Poisson interval",
    "resolved": "those of them that were resolved or closed by the night",
    "still_open": "those of them that were still open on the night",
    "open_at_end": "incidents open when the period ended, whenever they were created",
    "unfinished": "an incident that is still open counts as lasting at least as long as it has been open, "
    "so that a figure is not flattered by what is not yet mended (Kaplan-Meier)",
    "median": "half took longer; interval: order statistics, whatever becomes of those still open",
    "p75, p90": "three quarters, nine tenths took no longer; withheld where no interval exists at that number",
    "mean": "withheld while any incident of the period is still open, then with a lower end alone; "
    "interval: studentised bootstrap of the logarithm",
    "km_median": "Kaplan-Meier: the first time by which half were finished",
    "share_1h, share_4h, share_24h": "share finished within that time; interval: Wilson",
    "trend": "slope of the logarithm of the duration per 30 days (Theil-Sen over medians of successive incidents, at "
    "least 5 and at least a fortieth of the time each; -0.1 is about 10 % shorter every 30 days), its 95 % interval, "
    "and p_value of a Mann-Kendall test that allows for good and bad spells",
    "q_value": "p_value after Benjamini-Hochberg over all trends of the report",
    "verdict": "improving or worsening where q_value <= 0.05, else no detectable change; too few to say below 8 "
    "such medians, that is about 40 incidents",
    "smallest_detectable": "the slope that would have been found in 80 % of cases; a smaller one is easily missed",
}
