"""One program for each contender: it downloads what its job names and ends with exit 0 only when every SHA-256 fits.

In: the path of a job (job.py) as the only argument. Out: files in the job's folder, the exit code. They run in the
environment of requirements/bench.txt and import nothing that the tool itself does not need: their start is timed too.
"""
