"""The incident report brought to people who do not fetch it: by mail, or to a webhook of a chat or a program.

Belongs here: when it is sent, to whom, once, and what became of it. Not here: what is said (``reports.incident_letter``
and its neighbours), or the files, which every night writes (``pipelines.incident_report``).
"""
