"""Train the correction network: ``fitloop train-correction --samples runs/refinement``."""

import logging
import sys
import time
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from fitloop.body import Body, load_body
from fitloop.geometry import concatenate, rotvec_to_rotmat
from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.lessons.correction_lessons import ClueReader, Lesson, LessonMaker, all_lessons
from fitloop.pipelines.lessons.erring_bodies import ESTIMATES
from fitloop.pipelines.training.state import Average, TrainingState, mean_of, warm_cosine, write_metrics
from fitloop.refinement import DisplacementNet, load_network
from fitloop.refinement.correction import Correction, CorrectionConfig, CorrectionInput, CorrectionNet
from fitloop.refinement.weights import fingerprint, load_correction, save_correction

log = logging.getLogger("fitloop.train")
LAST, BEST = "last.pt", "correction.safetensors"
_EXAMPLES = 4096


@dataclass(frozen=True, kw_only=True)
class CorrectionTrainConfig:
    """Train the network that corrects pose and shape by what was seen of them."""

    samples: tuple[Path, ...]
    """Folders of ``fitloop train-refinement``, with ``training`` and ``held-out`` photos in them. All are looked at
    equally often, however many photos they have."""
    displacement: Path | None = None
    """Weights of the displacement network whose features are read; the shipped ones if not given."""
    out: Path = Path("runs/correction")
    """What was seen, checkpoints and weights; a run that was interrupted continues there."""
    estimates: tuple[str, ...] = ESTIMATES[:2]
    """Which of the estimates kept with each photo are learned from."""
    start: Path | None = None
    """Weights of the same size to start from."""
    blind: bool = False
    """Leave out what was seen in the photo: how much is won by knowing how fits err, without looking?"""
    width: int = CorrectionConfig.width
    """Of the network's tokens."""
    layers: int = CorrectionConfig.layers
    epochs: float = 8.0
    """Times that each person is looked at, straight and mirrored counted apart."""
    batch_size: int = 128
    hidden: float = 0.1
    """Share of the numbers that the network does not see in a step."""
    learning_rate: float = 1e-3
    """Of AdamW, after the warm-up; falls to 0 along a cosine."""
    warmup: int = 100
    """Steps."""
    weight_decay: float = 0.05
    average: float = 0.998
    """Decay of the moving average of the weights, which is what is evaluated and kept."""
    evaluate_every: int = 400
    """Steps; a checkpoint is written then, too."""
    seed: int = 0
    threads: int | None = None
    """CPU threads; as many as there are cores if not given."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for folder in self.samples:
            if not (folder / "training").is_dir() or not (folder / "held-out").is_dir():
                raise ValueError(
                    f"{folder} has no folders training and held-out; make them with fitloop train-refinement --out."
                )
        unknown = [name for name in self.estimates if name not in ESTIMATES]
        if unknown or not self.estimates or not self.samples:
            raise ValueError(
                f"samples must name a folder and estimates some of {', '.join(ESTIMATES)}; "
                f"got {[str(folder) for folder in self.samples]} and {list(self.estimates)}."
            )
        if min(self.batch_size, self.evaluate_every) < 1 or not 0 <= self.hidden < 1 or not self.epochs > 0:
            raise ValueError("batch_size and evaluate_every are at least 1, hidden is in [0, 1), epochs is positive.")

    @property
    def slots(self) -> tuple[int, ...]:
        """Numbers of the estimates."""
        return tuple(ESTIMATES.index(name) for name in self.estimates)


def train(config: CorrectionTrainConfig) -> dict[str, float]:
    """Look at the photos that were not looked at yet, then learn until the last step.

    Args:
        config: Everything; written to ``out/config.yaml``.

    Returns:
        Errors on held-out people of the last weights, which are in ``out/correction.safetensors``.

    Raises:
        TrainingStopped: If the loss is not finite or a checkpoint cannot be written.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    body, displacement = load_body(), load_network(config.displacement)
    config.out.mkdir(parents=True, exist_ok=True)
    save_config(config, config.out / "config.yaml")
    maker = LessonMaker(body, config.blind)
    lessons = [all_lessons(maker, paths) for paths in _look(config, body, displacement, "training", (False, True))]
    tests = [all_lessons(maker, paths) for paths in _look(config, body, displacement, "held-out", (False,))]
    torch.manual_seed(config.seed)
    seen = lessons[0].seen
    sizes = {"joint_numbers": seen.joints.shape[-1], "whole_numbers": seen.whole.shape[-1]}
    network = CorrectionNet(
        CorrectionConfig(body.name, **sizes, betas=body.num_betas, width=config.width, layers=config.layers)
    )
    if config.start is None:
        network.even_out(concatenate([one.seen[:: max(1, len(one.betas) // _EXAMPLES)] for one in lessons]))
    else:
        network.load_state_dict(load_correction(displacement, config.start).state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=config.weight_decay)
    state = TrainingState(network, {"network": optimizer}, Average(network, config.average), {})
    if (config.out / LAST).is_file():
        state.load(config.out / LAST)
        log.info("Going on from step %d.", state.step)
    school = _School(config, maker, lessons, tests)
    # The fused attention of CPUs is slow to differentiate for few tokens.
    with sdpa_kernel(SDPBackend.MATH):
        return _loop(school, state, fingerprint(displacement))


def _look(
    config: CorrectionTrainConfig, body: Body, network: DisplacementNet, split: str, views: tuple[bool, ...]
) -> list[list[Path]]:
    """Files of all that was seen, by folder of photos, made where they are missing."""
    folder = config.out / "seen"
    folder.mkdir(exist_ok=True)
    readers = [ClueReader(photos / split, body, network, config.slots) for photos in config.samples]
    found: list[list[Path]] = []
    with Progress(len(views) * sum(map(len, readers)), "file", 30.0, 0) as progress:
        for number, reader in enumerate(readers):
            found.append([])
            for mirrored, chunk in product(views, range(len(reader))):
                path = folder / f"{number}-{split}-{chunk:05d}{'-mirrored' if mirrored else ''}.safetensors"
                reader.read(chunk, mirrored, path)
                found[-1].append(path)
                progress.advance(1)
    return found


@dataclass
class _School:
    """What there is to learn, and how answers are marked."""

    config: CorrectionTrainConfig
    maker: LessonMaker
    lessons: list[Lesson]
    """Of each folder."""
    tests: list[Lesson]
    dirs: Tensor = field(init=False)

    def __post_init__(self) -> None:
        body = self.maker.body
        self.steps = max(
            1, round(self.config.epochs * sum(len(one.betas) for one in self.lessons) / self.config.batch_size)
        )
        vertices = [int(name.split()[1]) for name in self.maker.kinematics.landmarks if name.startswith("vertex ")]
        self.dirs = body.shapedirs[vertices]

    def errors(self, lesson: Lesson, correction: Correction) -> dict[str, Tensor]:
        """Mean distances in metres: points of the posed body of the true shape, and of the T-pose; and of rotations.

        The true shape in the first keeps the network from making unsure bodies smaller.
        """
        turned = lesson.rotations @ rotvec_to_rotmat(correction.turns)
        posed = self.maker.points(turned, lesson.true_betas) - lesson.points.float()
        shape = torch.einsum("vcb,nb->nvc", self.dirs, lesson.betas + correction.betas - lesson.true_betas)
        apart = (turned - lesson.true_rotations).square().sum((-1, -2)).add(1e-6).sqrt()
        return {"pose": posed.norm(dim=-1).mean(), "shape": shape.norm(dim=-1).mean(), "rotation": apart.mean()}


def _loop(school: _School, state: TrainingState[CorrectionNet], reads: str) -> dict[str, float]:
    config = school.config
    recent: list[dict[str, Tensor]] = []
    started, errors = time.monotonic(), dict(state.best_errors)
    with Progress(school.steps, "step", 30.0, state.step) as progress:
        while state.step < school.steps:
            recent.append(_step(school, state))
            progress.advance(1)
            if state.step == school.steps or state.step % config.evaluate_every == 0:
                with state.average.applied_to(state.model):
                    errors = _examine(school, state.model)
                    save_correction(config.out / BEST, state.model, reads)
                write_metrics(
                    config.out, state.step, {**mean_of(recent), **errors, "seconds": time.monotonic() - started}
                )
                state.best_errors, recent = errors, []
                state.save(config.out / LAST)
    return errors


def _step(school: _School, state: TrainingState[CorrectionNet]) -> dict[str, Tensor]:
    config = school.config
    generator = torch.Generator().manual_seed(1_000_003 * config.seed + state.step)
    lessons = school.lessons[int(torch.randint(len(school.lessons), (), generator=generator))]
    lesson = lessons[torch.randint(len(lessons.betas), (config.batch_size,), generator=generator)]
    with torch.autocast("cpu", torch.bfloat16):
        correction = state.model(_hide(lesson.seen, state.model, config.hidden, generator))
    errors = school.errors(lesson, correction)
    loss = 2.0 * errors["pose"] + errors["shape"] + 0.05 * errors["rotation"]
    rate = warm_cosine(state.step, school.steps, config.learning_rate, config.warmup)
    state.descend(loss, rate, 1.0)
    return {name: value.detach() for name, value in errors.items()}


def _hide(seen: CorrectionInput, network: CorrectionNet, share: float, generator: torch.Generator) -> CorrectionInput:
    """Put some numbers of everybody to their mean."""

    def hidden(values: Tensor, mean: Tensor) -> Tensor:
        away = torch.rand(len(values), *[1] * (values.ndim - 2), values.shape[-1], generator=generator) < share
        return torch.where(away, mean, values.float())

    return CorrectionInput(
        hidden(seen.joints, network.get_buffer("joint_mean")), hidden(seen.whole, network.get_buffer("whole_mean"))
    )


@torch.no_grad()
def _examine(school: _School, network: CorrectionNet) -> dict[str, float]:
    """Errors on held-out people before and after, millimetres; the body's own shape counts in ``pve``.

    Names end in the folder's number from the second folder on.
    """
    found = {}
    for number, tests in enumerate(school.tests):
        end = f"_{number}" if number else ""
        with torch.autocast("cpu", torch.bfloat16):
            told = network(tests.seen.to(torch.float32))
        for name, correction in (("before", told.map(torch.zeros_like)), ("after", told)):
            errors = school.errors(tests, correction)
            turned = tests.rotations @ rotvec_to_rotmat(correction.turns)
            whole = school.maker.points(turned, tests.betas + correction.betas) - tests.points.float()
            found[f"pve_{name}{end}"] = 1000.0 * float(whole.norm(dim=-1).mean())
            found |= {f"{part}_{name}{end}": 1000.0 * float(errors[part]) for part in ("pose", "shape")}
    return found


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse(CorrectionTrainConfig, arguments, __doc__)

    def work() -> str:
        told = ", ".join(f"{name} {value:.1f}" for name, value in train(config).items())
        return f"Done: {told}; weights in {config.out / BEST}."

    return end_well(work, config.out)


if __name__ == "__main__":
    sys.exit(main())
