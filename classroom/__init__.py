"""What a teacher needs beside the book: assignments, grading, and tasks that no page shows (see book/teaching).

Nothing here is on the site or in the wheel of the book's code.
"""
