"""The same, faster: exact other forms of what a chapter's module says in the form that one reads.

Each module has the name of the one whose work it does; the numbers are the same up to rounding.
"""
