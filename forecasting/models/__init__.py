"""Models: each turns a batch's history into weighted sample paths. To add one: a module, and a line in `registry`."""
