"""Train the correction network: ``fitloop train-correction --samples runs/refinement``."""

if __name__ == "__main__":
    from fitloop.pipelines.cli import run_program

    run_program("train-correction")

import logging
from contextlib import nullcontext
from itertools import product
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from fitloop.body import Body, load_body
from fitloop.body.spreads import LEVELS, missed_parts, share_inside, spread_loss, temperatures
from fitloop.geometry import concatenate, rotvec_to_rotmat
from fitloop.pipelines.console.endings import end_well
from fitloop.pipelines.console.options import parse, save_config
from fitloop.pipelines.console.progress import Progress
from fitloop.pipelines.lessons.correction_lessons import ClueReader, Lesson, LessonMaker, all_lessons
from fitloop.pipelines.lessons.erring_fits import ErringFits
from fitloop.pipelines.training.correction_config import CorrectionTrainConfig
from fitloop.pipelines.training.devices import mixed_precision, training_device
from fitloop.pipelines.training.loop import BEST, LAST, Losses, Rhythm, Schedule, Training, run_training
from fitloop.pipelines.training.state import Average, TrainingState
from fitloop.refinement import DisplacementNet, load_network
from fitloop.refinement.correction import Correction, CorrectionConfig, CorrectionInput, CorrectionNet, widen
from fitloop.refinement.weights import fingerprint, load_correction, save_correction
from fitloop.regressor import load_regressor

log = logging.getLogger("fitloop.train")
FINAL = "correction.safetensors"
_EXAMPLES = 4096
_LONGEST_GRADIENT = 1.0
_SPREAD = 0.02
"""Weight of the likelihood that teaches how sure the network is."""


def train(config: CorrectionTrainConfig) -> dict[str, float]:
    """Look at the photos that were not looked at yet, then learn until the last step.

    Args:
        config: Everything; written to ``out/config.yaml``.

    Returns:
        Errors on held-out people of the last weights, which are in ``out/correction.safetensors``; the best ones are
        in ``out/best.safetensors``.

    Raises:
        TrainingStopped: If the loss is not finite, the held-out error stays far above the start, or a checkpoint
            cannot be written.
        ValueError: If there is no such device, or an older checkpoint in ``out`` does not fit.
    """
    device = training_device(config.device, config.threads)
    training = open_training(config, device)
    rhythm = Rhythm(training.steps, config.evaluate_every, config.evaluate_every)
    schedule = Schedule(config.learning_rate, training.steps, config.warmup)
    # The fused attention of CPUs is slow to differentiate for few tokens.
    with sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext():
        return run_training(training, rhythm, schedule, _LONGEST_GRADIENT, config.tensorboard)


def open_training(config: CorrectionTrainConfig, device: torch.device) -> "CorrectionTraining":
    """Look at the photos, make the network, and load the last checkpoint if there is one.

    Args:
        config: Everything.
        device: Where to look and learn; what was seen stays in the CPU's memory.

    Raises:
        ValueError: If weights or an older checkpoint do not fit.
    """
    body, displacement = load_body(), load_network(config.displacement)
    config.out.mkdir(parents=True, exist_ok=True)
    save_config(config, config.out / "config.yaml")
    fits = ErringFits(body, load_regressor(config.regressor, body))
    looking = (config, fits, body.to(device), displacement.to(device))
    kept, whole = LessonMaker(body, config.blind, config.unguessed), LessonMaker(body, config.blind)
    lessons = [all_lessons(kept, paths) for paths in _look(*looking, "training", (False, True))]
    tests = [all_lessons(whole, paths) for paths in _look(*looking, "held-out", (False,))]
    torch.manual_seed(config.seed)
    seen = lessons[0].seen
    sizes = {"joint_numbers": seen.joints.shape[-1], "whole_numbers": seen.whole.shape[-1]}
    network = CorrectionNet(
        CorrectionConfig(
            body.name,
            **sizes,
            betas=body.num_betas,
            width=config.width,
            layers=config.layers,
            uncertainty=config.uncertainty,
        )
    )
    network.even_out(concatenate([one.seen[:: max(1, len(one.betas) // _EXAMPLES)] for one in lessons]))
    if config.start is not None:
        widen(network, load_correction(displacement, config.start))
    network = network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=config.weight_decay)
    state = TrainingState(network, {"network": optimizer}, Average(network, config.average), {})
    if (config.out / LAST).is_file():
        state.load(config.out / LAST)
        log.info("Going on from step %d.", state.step)
    return CorrectionTraining(config, state, body.to(device), lessons, tests, fingerprint(displacement))


def _look(
    config: CorrectionTrainConfig,
    fits: ErringFits,
    body: Body,
    network: DisplacementNet,
    split: str,
    views: tuple[bool, ...],
) -> list[list[Path]]:
    """Files of all that was seen, by folder of photos, made where they are missing."""
    folder = config.out / "seen"
    folder.mkdir(exist_ok=True)
    readers = [ClueReader(photos / split, body, network, fits, config.kinds) for photos in config.samples]
    found: list[list[Path]] = []
    with Progress(len(views) * sum(map(len, readers)), "file", 30.0, 0) as progress:
        for number, reader in enumerate(readers):
            paths = {
                (mirrored, chunk): folder / f"{number}-{split}-{chunk:05d}{'-mirrored' if mirrored else ''}.safetensors"
                for mirrored, chunk in product(views, range(len(reader)))
            }
            found.append(list(paths.values()))
            for chunk in range(len(reader)):
                # Guess and fit are the same for both views.
                reader.read(chunk, {mirrored: paths[mirrored, chunk] for mirrored in views})
                progress.advance(len(views))
    return found


class CorrectionTraining(Training):
    """The correction network learns from what was seen of wrong bodies."""

    measures = watched = ("pve_after",)

    def __init__(
        self,
        config: CorrectionTrainConfig,
        state: TrainingState[CorrectionNet],
        body: Body,
        lessons: list[Lesson],
        tests: list[Lesson],
        reads: str,
    ) -> None:
        """Prepare the points that bodies are compared in.

        Args:
            config: Everything.
            state: Network and optimiser.
            body: Where the network is.
            lessons: Of each folder, on the CPU.
            tests: The same of held-out people.
            reads: Fingerprint of the displacement network whose features are read.
        """
        super().__init__(state, config.out)
        self.config, self.lessons, self.tests, self.reads = config, lessons, tests, reads
        self.maker = LessonMaker(body, config.blind)
        self.steps = max(1, round(config.epochs * sum(len(one.betas) for one in lessons) / config.batch_size))
        landmarks = self.maker.kinematics.landmarks
        self.dirs = body.shapedirs[[int(name.split()[1]) for name in landmarks if name.startswith("vertex ")]]
        self.device = body.template.device

    def gradient(self, step: int) -> tuple[Tensor, Losses]:
        """See `Training`."""
        config, network = self.config, self.state.model
        generator = torch.Generator().manual_seed(1_000_003 * config.seed + step)
        lessons = self.lessons[int(torch.randint(len(self.lessons), (), generator=generator))]
        picks = torch.randint(len(lessons.betas), (config.batch_size,), generator=generator)
        lesson = lessons[picks].to(self.device)
        seen = _hide(lesson.seen, network, config.hidden, generator)
        with mixed_precision(self.device):
            correction = network(seen)
        turned = corrected(lesson, correction)
        errors = self.errors(lesson, correction, turned)
        loss = 2.0 * errors["pose"] + errors["shape"] + 0.05 * errors["rotation"]
        if correction.log_spread is not None:
            sure = torch.ones_like(lesson.betas[:, 0])
            missed = missed_by(lesson, correction, turned)
            errors["spread"] = spread_loss(missed, correction.log_spread, sure, lesson.betas.shape[-1])
            loss = loss + _SPREAD * errors["spread"]
        loss.backward()
        return loss.detach(), {name: value.detach() for name, value in errors.items()}

    def errors(
        self, lesson: Lesson, correction: Correction, turned: Float[Tensor, "people joints 3 3"]
    ) -> dict[str, Tensor]:
        """Mean distances in metres: points of the posed body of the true shape, and of the T-pose; and of rotations.

        The true shape in the first keeps the network from making unsure bodies smaller.
        """
        posed = self.maker.points(turned, lesson.true_betas) - lesson.points.float()
        shape = torch.einsum("vcb,nb->nvc", self.dirs, lesson.betas + correction.betas - lesson.true_betas)
        apart = (turned - lesson.true_rotations).square().sum((-1, -2)).add(1e-6).sqrt()
        return {"pose": posed.norm(dim=-1).mean(), "shape": shape.norm(dim=-1).mean(), "rotation": apart.mean()}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Errors on held-out people before and after, millimetres; the body's own shape counts in ``pve``.

        Names end in the folder's number from the second folder on.
        """
        found = {}
        for number, apart in enumerate(self.tests):
            end, tests = f"_{number}" if number else "", apart.to(self.device)
            with mixed_precision(self.device):
                predicted = self.state.model(tests.seen.to(torch.float32))
            for name, correction in (("before", predicted.map(torch.zeros_like)), ("after", predicted)):
                turned = corrected(tests, correction)
                errors = self.errors(tests, correction, turned)
                whole = self.maker.points(turned, tests.betas + correction.betas) - tests.points.float()
                found[f"pve_{name}{end}"] = 1000.0 * float(whole.norm(dim=-1).mean())
                found |= {f"{part}_{name}{end}": 1000.0 * float(errors[part]) for part in ("pose", "shape")}
            if predicted.log_spread is not None:
                missed = missed_by(tests, predicted, corrected(tests, predicted))
                for level in LEVELS:
                    inside = share_inside(missed, predicted.log_spread, tests.betas.shape[-1], level)
                    found[f"inside_{100 * level:.0f}{end}"] = 100.0 * float(inside.mean())
        return found

    def write_best(self, path: Path) -> None:
        """See `Training`."""
        self._calibrate()
        save_correction(path, self.state.model, self.reads)

    def finish(self) -> None:
        """Write the last weights, which the falling learning rate leaves at rest."""
        with self.state.average.applied_to(self.state.model):
            self._calibrate()
            save_correction(self.out / FINAL, self.state.model, self.reads)

    @torch.no_grad()
    def _calibrate(self) -> None:
        """Set the temperatures so that what is said of held-out people is true; undone with the averaged weights."""
        spread = self.state.model.spread
        if spread is None:
            return
        tests = concatenate(self.tests).to(self.device)
        with mixed_precision(self.device):
            predicted = self.state.model(tests.seen.to(torch.float32))
        assert predicted.log_spread is not None
        missed = missed_by(tests, predicted, corrected(tests, predicted))
        spread.temperature += temperatures(missed, predicted.log_spread, tests.betas.shape[-1])


def corrected(lesson: Lesson, correction: Correction) -> Float[Tensor, "people joints 3 3"]:
    """The estimates' rotations after the correction, local."""
    return lesson.rotations @ rotvec_to_rotmat(correction.turns)


def missed_by(
    lesson: Lesson, correction: Correction, turned: Float[Tensor, "people joints 3 3"]
) -> Float[Tensor, "people parts"]:
    """How far the corrected bodies are off, part by part."""
    return missed_parts(turned, lesson.betas + correction.betas, lesson.true_rotations, lesson.true_betas)


def _hide(seen: CorrectionInput, network: CorrectionNet, share: float, generator: torch.Generator) -> CorrectionInput:
    """Put some numbers of everybody to their mean."""

    def hidden(values: Tensor, mean: Tensor) -> Tensor:
        away = torch.rand(len(values), *[1] * (values.ndim - 2), values.shape[-1], generator=generator) < share
        return torch.where(away.to(values.device), mean, values.float())

    return CorrectionInput(
        hidden(seen.joints, network.get_buffer("joint_mean")), hidden(seen.whole, network.get_buffer("whole_mean"))
    )


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse(CorrectionTrainConfig, arguments, __doc__)

    def work() -> str:
        errors = ", ".join(f"{name} {value:.1f}" for name, value in train(config).items())
        return f"Done: {errors}; weights in {config.out / FINAL}, the best so far in {config.out / BEST}."

    return end_well(work, config.out)
