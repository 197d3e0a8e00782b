"""The code of *Keep the Crack*: how segmentation networks shrink an image, and how they get it back.

Import what you need from its module, for example `from chapters_code.pooling import max_pool2d`.
"""

__version__ = "0.1.0"
