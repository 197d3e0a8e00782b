"""Our answers to the exercises, a module for each chapter.

Each function carries the name that its exercise asks for.  Its docstring is the explanation that readers see under it,
in Markdown.
"""
