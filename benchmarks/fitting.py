"""Throughput of `fitloop.fitting.fit` against SPIN's fitter, on the same people, the same start and the same energy.

    python -m benchmarks fitting --mocap FILE --json OUT

Both fitters minimise SPIN's energy (weights 4.78, 15.2, 5, scale 100 px). The rows are divided over as many workers as
there are cores, at most 2, each with one thread, for both alike. The reference poses a full mesh at every step, so its
throughput is multiplied by ``vertices / 6890``: a body larger than SMPL must not flatter us.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch

from benchmarks.metrics import Metric
from benchmarks.people import People
from benchmarks.scores import score
from fitloop.body import Body, BodyEstimate, Detections
from fitloop.fitting import Fit, FitConfig, SolverConfig, StageConfig, fit
from fitloop.fitting.reference import ReferenceFitter
from fitloop.geometry import concatenate

logger = logging.getLogger(__name__)

SMPL_VERTICES = 6890
SPIN_STAGE = StageConfig(pose_prior=4.78, angle_prior=15.2, shape_prior=5.0, landmarks=0.0)
SPIN_ENERGY = FitConfig(
    stages=(replace(SPIN_STAGE, solver=SolverConfig(max_steps=15, tolerance=3e-3, damping=0.1)),), robust_scale=100.0
)
PLACED = FitConfig(stages=(replace(SPIN_STAGE, solver=SolverConfig(max_steps=0)),), robust_scale=100.0)
"""Only the closed-form translation: the start that both fitters get."""


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    workers: int = 2
    reference_rows: int = 64
    """The reference's throughput does not grow with the batch, and its run takes minutes."""
    repeats: int = 5
    starts: tuple[str, ...] = ("near", "mean")


QUICK = Plan(reference_rows=16, repeats=3, starts=("near",))


def spread(
    fitter: Callable[[Detections, BodyEstimate], Fit], detections: Detections, init: BodyEstimate, workers: int
) -> Fit:
    """Run a fitter on equal shares of the rows, one thread each."""
    shares = torch.arange(len(init.params.transl)).chunk(workers)
    with ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(lambda rows: fitter(detections[rows], init[rows]), shares))
    return concatenate(parts)


class Timing(NamedTuple):
    """Shortest times of a run, in seconds."""

    wall: float
    cpu: float
    """Of all threads together: what other programs on the machine cannot inflate."""


def timed(run: Callable[[], Fit], repeats: int, warm_up: bool = True) -> tuple[Timing, Fit]:
    """Time a run; by default once more, untimed, before."""
    result = run() if warm_up else None
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    assert result is not None
    return Timing(min(walls), min(cpus)), result


def run(body: Body, people: People, plan: Plan = Plan()) -> list[Metric]:
    """Measure; every metric's key says start and batch size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        metrics = []
        for start in plan.starts:
            init: BodyEstimate = getattr(people, start)
            metrics += _against_reference(body, people, init, start, plan)
        return metrics + _sizes(body, people, plan)
    finally:
        torch.set_num_threads(threads)


def _against_reference(body: Body, people: People, init: BodyEstimate, start: str, plan: Plan) -> list[Metric]:
    name = "" if start == "near" else f".{start}"

    def ours(detections: Detections, rows: BodyEstimate) -> Fit:
        return fit(body, detections, rows, SPIN_ENERGY)

    count = min(256, len(init.params.transl))
    our_time, result = timed(lambda: spread(ours, people.detections[:count], init[:count], plan.workers), plan.repeats)
    rows = plan.reference_rows
    reference = ReferenceFitter(body, people.detections.convention)
    placed = fit(body, people.detections[:rows], init[:rows], PLACED).estimate
    logger.info("Reference fitter on %d rows from the start %r, 200 steps ...", rows, start)
    their_time, other = timed(
        lambda: spread(reference.fit, people.detections[:rows], placed, plan.workers), 1, warm_up=False
    )
    vertices = len(body.template) / SMPL_VERTICES
    scaled = vertices * rows / their_time.wall
    ratio_cpu = (count / our_time.cpu) / (vertices * rows / their_time.cpu)
    everyone = score(body, result.estimate, people.truth[:count], people.detections.convention)
    theirs = score(body, other.estimate, people.truth[:rows], people.detections.convention)
    same = result[:rows]
    worse = 100.0 * float((same.energy > 1.05 * other.energy).float().mean())
    ratio = float(same.energy.mean() / other.energy.mean())
    return [
        Metric(f"fitting.throughput{name}.b256", count / our_time.wall, "fits/s", "higher", 0.5),
        Metric(f"fitting.reference_throughput{name}", rows / their_time.wall, "fits/s", "none"),
        Metric(f"fitting.reference_throughput_scaled{name}", scaled, "fits/s of a 6890-vertex body", "none"),
        Metric(f"fitting.ratio{name}.b256", count / our_time.wall / scaled, "times", "higher", 0.4),
        Metric(f"fitting.ratio_cpu{name}.b256", ratio_cpu, "times, by CPU time", "higher", 0.3),
        Metric(f"fitting.energy_ratio{name}.b256", ratio, "ours over reference's", "lower", 0.05),
        Metric(f"fitting.worse{name}.b256", worse, "% of bodies 5 % above the reference", "lower", 0.5),
        Metric(f"fitting.error_2d{name}", everyone.error_2d, "% of box side", "lower", 0.05),
        Metric(f"fitting.mpjpe{name}", everyone.mpjpe, "mm", "lower", 0.05),
        Metric(f"fitting.pa_mpjpe{name}", everyone.pa_mpjpe, "mm", "lower", 0.05),
        Metric(f"fitting.pve{name}", everyone.pve, "mm", "lower", 0.05),
        Metric(f"fitting.reference_error_2d{name}", theirs.error_2d, "% of box side", "none"),
        Metric(f"fitting.reference_mpjpe{name}", theirs.mpjpe, "mm", "none"),
        Metric(f"fitting.reference_pa_mpjpe{name}", theirs.pa_mpjpe, "mm", "none"),
        Metric(f"fitting.reference_pve{name}", theirs.pve, "mm", "none"),
    ]


def _sizes(body: Body, people: People, plan: Plan) -> list[Metric]:
    """The default configuration: latency of single people, throughput over batch sizes."""
    metrics = []
    times = [
        timed(lambda row=row: fit(body, people.detections[row : row + 1], people.near[row : row + 1]), 1)[0]
        for row in range(min(40, len(people.detections.boxes)))
    ]
    latency = 1000.0 * torch.tensor(times).median(0).values
    metrics.append(Metric("fitting.latency_ms.b1", float(latency[0]), "ms, median", "lower", 0.5))
    metrics.append(Metric("fitting.latency_cpu_ms.b1", float(latency[1]), "ms of CPU time, median", "lower", 0.5))

    def ours(detections: Detections, rows: BodyEstimate) -> Fit:
        return fit(body, detections, rows)

    for size in (16, 256, 1024):
        if size <= len(people.detections.boxes):
            time_taken, result = timed(
                lambda size=size: spread(ours, people.detections[:size], people.near[:size], plan.workers), plan.repeats
            )
            metrics.append(
                Metric(f"fitting.default_throughput.b{size}", size / time_taken.wall, "fits/s", "higher", 0.5)
            )
            metrics.append(
                Metric(f"fitting.default_fits_per_cpu_second.b{size}", size / time_taken.cpu, "fits/s", "higher", 0.3)
            )
    found = score(body, result.estimate, people.truth[:size], people.detections.convention)
    metrics.append(Metric("fitting.default_mpjpe", found.mpjpe, "mm", "lower", 0.05))
    metrics.append(Metric("fitting.default_pa_mpjpe", found.pa_mpjpe, "mm", "lower", 0.05))
    metrics.append(Metric("fitting.default_error_2d", found.error_2d, "% of box side", "lower", 0.05))
    metrics.append(Metric("fitting.converged", 100.0 * float(result.converged.float().mean()), "%", "higher", 0.05))
    return metrics + (_on_gpu(body, people) if torch.cuda.is_available() else [])


def _on_gpu(body: Body, people: People) -> list[Metric]:
    device = torch.device("cuda")
    on_device, moved = body.to(device), people.to(device)
    metrics = []
    for size in (256, 4096, 16384, 65536):
        rows = torch.arange(size, device=device) % len(people.detections.boxes)

        def run(rows: torch.Tensor = rows) -> Fit:
            result = fit(on_device, moved.detections[rows], moved.near[rows])
            torch.cuda.synchronize()
            return result

        time_taken, _ = timed(run, 3)
        metrics.append(Metric(f"fitting.gpu_throughput.b{size}", size / time_taken.wall, "fits/s", "higher", 0.5))
    return metrics
