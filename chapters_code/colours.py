"""Colours that stay apart for colour-blind readers, for plots and for overlays (all chapters).

Source: Okabe and Ito (2008), "Color Universal Design".
"""

__all__ = ["COLOURS"]

# In the order a plot takes them.  The first four stand out from the plots' paper by 3 : 1 or more; the light ones are
# for areas and thick lines.
COLOURS = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "black": "#000000",
    "purple": "#cc79a7",
    "orange": "#e69f00",
    "sky": "#56b4e9",
    "yellow": "#f0e442",
}
