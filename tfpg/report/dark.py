"""How does a figure look on a dark page? Its greys change sides; colours, and what is mapped to colours, stay."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

PAPER, INK = "#181b20", "#e9eaec"  # what white and black become
_GREY = 0.06  # red, green and blue nearer than this are no colour


def darken(figure: Figure) -> Figure:
    """The same figure, changed in place: draw it on light paper before."""
    over_colours = {id(artist) for axes in figure.get_axes() if _has_colours(axes)
                    for artist in (*axes.lines, *axes.collections, *axes.texts, *axes.patches)}
    if over_colours:  # what the legend shows must look as it does over the picture: it keeps its light ground
        for legend in figure.legends:
            legend.set_frame_on(True)
            legend.get_frame().set(facecolor="white", edgecolor="none", alpha=0.93)
            over_colours |= {id(artist) for artist in legend.findobj()}
    for artist in figure.findobj(include_self=True):
        if id(artist) in over_colours:  # what is drawn over a picture was made to be seen there
            continue
        match artist:
            case Text() if not artist.get_path_effects():  # what has a halo stands on a picture and can be read anywhere
                artist.set_color(swapped(artist.get_color()))
                if (box := artist.get_bbox_patch()) is not None:
                    _patch(box)
            case Line2D():
                artist.set_color(swapped(artist.get_color()))
                for name in ("markeredgecolor", "markerfacecolor"):
                    getattr(artist, f"set_{name}")(swapped(getattr(artist, f"get_{name}")()))
            case Collection():
                _collection(artist)
            case Patch():
                _patch(artist)
            case Axes():
                _axes(artist)
    return figure


def swapped(colour: Any) -> Any:
    """A grey between paper and ink, as light as it was dark; any other colour as it is. Opacity stays."""
    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    *rgb, alpha = to_rgba(colour)
    if max(rgb) - min(rgb) > _GREY:
        return colour
    lightness = float(np.mean(rgb))
    paper, ink = (np.array(to_rgba(each)[:3]) for each in (PAPER, INK))
    return (*(lightness * paper + (1 - lightness) * ink).tolist(), alpha)


def _has_colours(axes: Axes) -> bool:
    return any(collection.get_array() is not None for collection in axes.collections)


def _patch(patch: Patch) -> None:
    face, edge = patch.get_facecolor(), patch.get_edgecolor()
    patch.set_facecolor(swapped(face))
    patch.set_edgecolor(swapped(edge))


def _collection(collection: Collection) -> None:
    edges, faces = (np.atleast_2d(each) for each in (collection.get_edgecolor(), collection.get_facecolor()))
    if edges.size:
        collection.set_edgecolor([swapped(edge) for edge in edges])
    if faces.size and collection.get_array() is None:
        collection.set_facecolor([swapped(face) for face in faces])


def _axes(axes: Axes) -> None:
    """Ticks are made anew when they are drawn, from what the axes say of them."""
    for which in ("x", "y", "z") if hasattr(axes, "zaxis") else ("x", "y"):
        axis = getattr(axes, f"{which}axis")
        said = axis.get_tick_params()
        changed = {name: swapped(said.get(name, default)) for name, default in (
            ("color", "black"), ("labelcolor", "black"), ("grid_color", "0.9"))}
        axis.set_tick_params(which="both", **changed)
        if hasattr(axis, "pane"):
            _patch(axis.pane)
            axis._axinfo["grid"]["color"] = swapped(axis._axinfo["grid"]["color"])  # no public way in three dimensions
