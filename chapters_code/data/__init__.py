"""Where pictures and masks come from: files, drawn roads, photographs of cracks (Chapters 00, 01 and 07).

A sample is always a pair: an image, uint8 (3, H, W), and a mask, int64 (H, W), in which 255 is not counted.
Importing a module of this package reads nothing and downloads nothing.
"""
