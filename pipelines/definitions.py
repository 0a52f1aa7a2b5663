"""What ``dg dev``, ``dagster-webserver -w workspace.yaml`` and the daemon load."""

from pipelines.build import build_defs

defs = build_defs()
