"""A folder of photos, one at a time, with what each stage says of every person."""

from pathlib import Path

import fitloop

for people in fitloop.predict(Path(__file__).parent.parent / "samples", threads=1):
    for person in people:
        assert person.fitted is not None
        depth = float(person.params.transl[0, 2])
        print(f"{people.name}: {depth:.1f} m away, energy {float(person.fitted.energy[0]):.1f}")
    if len(people) > 1:
        break  # enough for an example; leave this out to go through them all
