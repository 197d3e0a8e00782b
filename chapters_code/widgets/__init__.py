"""Figures that answer the hand: live in JupyterLab and Colab, and on the site without a kernel."""

from chapters_code.widgets.moving import MovingFigure
from chapters_code.widgets.window import Window

__all__ = ["MovingFigure", "Window"]
