"""The two commits of a night: what was ingested, then what was concluded. Each is one transaction on an open writer.

Belongs here: the SQL that changes the warehouse, and the rules that make it idempotent. Not here: what is computed
(the pure rooms), or how the file is opened (``pipelines.warehouse``).
"""
