"""Meshes to pixels: rasterizers, interpolation, shading, overlays and mesh files. Knows no networks or datasets."""

from rendering.interpolation import interpolate as interpolate
from rendering.overlays import OverlayStyle as OverlayStyle
from rendering.overlays import draw_overlay as draw_overlay
from rendering.overlays import draw_side_view as draw_side_view
from rendering.rasterizer import Fragments as Fragments
from rendering.rasterizer import Rasterizer as Rasterizer
from rendering.rasterizer import load_rasterizer as load_rasterizer
