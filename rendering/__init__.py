"""Meshes to pixels: rasterizers, interpolation, shading, overlays and mesh files. Knows no networks or datasets."""

from rendering.export import Appearance as Appearance
from rendering.export import export_glb as export_glb
from rendering.interpolation import interpolate as interpolate
from rendering.interpolation import normal_map as normal_map
from rendering.interpolation import part_map as part_map
from rendering.interpolation import sample_texture as sample_texture
from rendering.interpolation import unique_vertex_colors as unique_vertex_colors
from rendering.marks import draw_keypoints as draw_keypoints
from rendering.overlays import OverlayStyle as OverlayStyle
from rendering.overlays import draw_overlay as draw_overlay
from rendering.overlays import draw_side_view as draw_side_view
from rendering.rasterizer import Fragments as Fragments
from rendering.rasterizer import Rasterizer as Rasterizer
from rendering.rasterizer import load_rasterizer as load_rasterizer
