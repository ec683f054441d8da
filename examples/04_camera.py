"""What the camera has to say: the same photo with a known field of view, and where the person then stands."""

from pathlib import Path

import fitloop

photo = Path(__file__).parent.parent / "samples" / "hall.jpg"
for degrees in (35.0, 55.0, 75.0):
    people = fitloop.predict(photo, field_of_view=degrees)
    focal = float(people.estimate.camera.focal[0])
    x, _, z = people.params.transl[0].tolist()
    # Size and distance cannot be told apart by one photo: a wider view brings the same person nearer.
    print(f"{degrees:.0f} degrees, {focal:.0f} pixels: {z:.2f} m in front of the camera, {x:+.2f} m to the right")
