"""Past nights played again: what they would have said, which tickets they would have opened, and what came of them.

past     a site's hours, read once, as they could be seen on any night
nights   one night, from its hours to its risks: the very steps of the nightly job
rules    what `predict_linear` would have alerted about on the same night
policy   from the risks of nights in order to tickets, under any policy
run      ``forewarn replay``: all of it, resumable, and what is written
"""
