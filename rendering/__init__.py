"""Meshes to pixels: rasterizers, interpolation, shading, overlays and mesh files. Knows no networks or datasets."""

from fitloop.rendering.backends import load_rasterizer as load_rasterizer
from fitloop.rendering.export import Material as Material
from fitloop.rendering.export import export_glb as export_glb
from fitloop.rendering.interpolation import interpolate as interpolate
from fitloop.rendering.interpolation import normal_map as normal_map
from fitloop.rendering.interpolation import part_map as part_map
from fitloop.rendering.interpolation import sample_texture as sample_texture
from fitloop.rendering.interpolation import unique_vertex_colors as unique_vertex_colors
from fitloop.rendering.marks import draw_keypoints as draw_keypoints
from fitloop.rendering.overlays import OverlayStyle as OverlayStyle
from fitloop.rendering.overlays import draw_overlay as draw_overlay
from fitloop.rendering.overlays import draw_side_view as draw_side_view
from fitloop.rendering.rasterizer import Fragments as Fragments
from fitloop.rendering.rasterizer import Rasterizer as Rasterizer
