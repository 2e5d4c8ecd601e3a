"""A figure that a notebook shows, sharp and with a description for those who do not see it."""

import base64
import io
from typing import Any

from matplotlib.figure import Figure

SHARPNESS = 2
"""Pixels drawn for each pixel of the page."""


class Picture(Figure):
    """A matplotlib figure, made without pyplot, that a notebook shows when a cell ends with it.

    `description` says in words what is to be seen. It stands beside the picture in the notebook's file.
    """

    description = ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=SHARPNESS * self.dpi)
        width, height = (round(inches * self.dpi) for inches in self.get_size_inches())
        bundle = {"image/png": base64.b64encode(png.getvalue()).decode(), "text/plain": self.description}
        return bundle, {"image/png": {"width": width, "height": height, "alt": self.description}}
