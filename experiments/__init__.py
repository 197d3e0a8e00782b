"""The book's experiments, one file a study: first the plan and what is expected, then the code that runs it.

The plan is committed before the first run.  `work` holds what the studies share.
"""
