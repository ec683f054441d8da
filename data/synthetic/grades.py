"""The difficulty grades of open-bench: what their scenes are like, and which of them count."""

from dataclasses import dataclass, replace

from fitloop.data.synthetic.assets import Assets
from fitloop.data.synthetic.config import SceneConfig
from fitloop.data.synthetic.scenes import arrange
from fitloop.data.synthetic.truth import OUTSIDE, Person, SyntheticPhoto

PEOPLE_PER_GRADE = 100
_ATTEMPTS = 40
_BASE = SceneConfig(
    height=480,
    width=640,
    split="held-out",
    people=(1, 1),
    person_height=(0.36, 0.8),
    free_camera=0.05,
    airborne=0.05,
    acrobatic=0.0,
    loose=0.0,
    truncated=0.0,
    occluded=0.0,
    pose_noise=0.0,
    shape=1.0,
)


@dataclass(frozen=True)
class Grade:
    """One grade: one main person per photo."""

    name: str
    scene: SceneConfig
    visible: tuple[float, float] = (0.97, 1.0)
    """Least and greatest share of the person's pixels that nothing stands before."""
    inside: tuple[float, float] = (0.99, 1.0)
    """Least and greatest share of the landmarks that are inside the picture."""
    height: tuple[float, float] = (150.0, 400.0)
    """Pixels from top to bottom of the box."""

    def accepts(self, person: Person) -> bool:
        """Whether a person is as hard as the grade says."""
        inside = float((person.visibility != OUTSIDE).mean())
        tall = float(person.box[3] - person.box[1])
        return all(
            low <= value <= high
            for value, (low, high) in (
                *((person.visible_share, self.visible), (inside, self.inside), (tall, self.height)),
            )
        )


GRADES = (
    Grade("easy", _BASE),
    Grade("loose clothes", replace(_BASE, loose=1.0)),
    Grade("occluded", replace(_BASE, occluded=1.0), visible=(0.35, 0.8)),
    Grade(
        "truncated", replace(_BASE, truncated=1.0, person_height=(0.6, 1.0)), inside=(0.4, 0.85), height=(150.0, 480.0)
    ),
    Grade("acrobatic", replace(_BASE, acrobatic=1.0), height=(120.0, 400.0)),
)
"""In the order of the benchmark."""


def render_graded(
    assets: Assets, seed: int, number: int, per_grade: int = PEOPLE_PER_GRADE
) -> tuple[SyntheticPhoto, Grade]:
    """Draw photo ``number`` of the benchmark; further scenes are tried until one is as hard as its grade says.

    Args:
        assets: From `load_assets`.
        seed: Of the benchmark.
        number: From 0; the first ``per_grade`` are of the first grade, and so on.
        per_grade: Photos of each grade.

    Raises:
        ValueError: If there is no such photo, or no scene was as hard as its grade says.
    """
    if not 0 <= number < per_grade * len(GRADES):
        raise ValueError(f"The benchmark has {per_grade * len(GRADES)} photos, asked for number {number}.")
    grade = GRADES[number // per_grade]
    for attempt in range(_ATTEMPTS):
        scene = arrange(assets, (seed, number, attempt), grade.scene)
        survey = scene.survey()
        if grade.accepts(survey.people[0]):
            return scene.photograph(survey), grade
    raise ValueError(f"None of {_ATTEMPTS} scenes was {grade.name} (seed {seed}, photo {number}); choose another seed.")
