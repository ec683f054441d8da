"""Runs inside Blender: imports a motion file and writes where its bones are in every frame, as JSON.

blender --background --factory-startup --python blender_joints.py -- FILE FRAME_RATE FRAMES OUT
"""

import builtins
import json
import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]

# Blender 3.4's BVH importer opens files in mode "rU", which the Python 3.11 that Debian builds it with no longer knows.
_open = builtins.open
builtins.open = lambda file, mode="r", *more, **named: _open(file, mode.replace("U", ""), *more, **named)

path, frame_rate, frames, out = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = int(frame_rate)
if path.endswith(".bvh"):
    # Blender's own defaults for what an animator would click: -Z forward, Y up, scale 1.
    bpy.ops.import_anim.bvh(filepath=path)
else:
    bpy.ops.import_scene.gltf(filepath=path)
skeleton = next(thing for thing in scene.objects if thing.type == "ARMATURE")
found = {bone.name: [] for bone in skeleton.pose.bones}
# Blender begins a BVH at frame 1, and glTF's second 0 is frame 0.
first = 1 if path.endswith(".bvh") else 0
for frame in range(int(frames)):
    scene.frame_set(first + frame)
    for bone in skeleton.pose.bones:
        found[bone.name].append(list(skeleton.matrix_world @ bone.head))
Path(out).write_text(json.dumps({"joints": found, "metres": scene.unit_settings.scale_length}))
