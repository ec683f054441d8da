"""Files: a mesh for a 3D viewer, plain arrays for NumPy, and back again."""

from pathlib import Path

import numpy as np

import fitloop

people = fitloop.predict(Path(__file__).parent.parent / "samples" / "hall.jpg")
people.save("person.glb", person=0)
arrays = people.to_arrays()
np.savez("person.npz", **arrays)  # pyright: ignore[reportArgumentType]

with np.load("person.npz", allow_pickle=False) as found:
    print(f"{str(found['photo'])}: joints {found['joints_3d'].shape} in metres, status {found['status'][0]}")
    print("height of the head above the pelvis:", round(float(found["joints_3d"][0, 0, 1] - found["joints_3d"][0, 15, 1]), 2))
