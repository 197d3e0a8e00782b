"""What the book's own runs left behind, to be shown on its pages."""
