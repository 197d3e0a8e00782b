"""Grading of notebooks as they come in: each answer runs in a process of its own, and another one judges.

* `collect`: notebooks from folders and archives, and whose they are
* `answers`: which cells hold an answer, and what of the notebook it needs
* `wire`: what the two processes say to each other
* `child`: runs an answer, with limits, without network, and without the solutions
* `wall`: what the system itself keeps that process from
* `judge`: sends inputs to a child, and compares what comes back
* `run`: all submissions, on all cores; what was graded before is kept
* `report`: grades.csv, a page of feedback for each student, not_read.csv
"""
