"""A photo in, a body out: five lines."""

from pathlib import Path

import fitloop

people = fitloop.predict(Path(__file__).parent.parent / "samples" / "hall.jpg")
people.save("body.glb")
people.draw().save("overlay.jpg")
print(f"{len(people)} people; joints turned by {people.params.body_pose.shape}")
