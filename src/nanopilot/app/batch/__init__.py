"""Many files analysed: one worker per core, one folder of results, nothing lost on the way."""
