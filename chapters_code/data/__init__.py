"""Pictures with masks, real and drawn, behind one interface.

Every set answers `len(data)` and `data[i]` with an image, uint8 (3, H, W), and a mask, int64 (H, W),
and carries `ids`, `classes`, `palette` and `ignore_index`.
"""
