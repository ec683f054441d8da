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
    pelvis, head = found["joints_3d"][0, [0, 15], 1]
    print(f"the head is {pelvis - head:.2f} m above the pelvis")
