"""The course of a training with fitting in the loop."""

import math
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from fitloop.pipelines.spin.inputs import draw_augmentation
from fitloop.pipelines.spin.loop import SpinBatch, Tally, estimate_all, placed_and_judged
from fitloop.pipelines.spin.measure import CHUNK, network_errors, store_errors, summary
from fitloop.pipelines.spin.report import Epoch, write_report
from fitloop.pipelines.spin.run import FITS, Run, checkpoint
from fitloop.pipelines.spin.samples import seed_of
from fitloop.pipelines.spin.spin_files import export_spin_fits, from_spin, read_spin_fits
from fitloop.pipelines.spin.store import FitsStore, Source
from fitloop.pipelines.training.loop import Losses, Training, run_training
from fitloop.pipelines.training.processes import gradients_kept_back, shared
from fitloop.pipelines.training.state import evaluating
from fitloop.regressor import save_weights

FINAL = "final.safetensors"


def go_on(run: Run, tensorboard: bool = False) -> list[Epoch]:
    """Train a run to its end; see `train_spin`."""
    steps, schedule = run.deal.steps_per_epoch, run.schedule
    run_training(SpinTraining(run), schedule.rhythm(steps), schedule.rates(steps), schedule.clip, tensorboard)
    return run.epochs


class SpinTraining(Training):
    """A regressor learns from its own corrected fits."""

    # Where the people kept apart have 3D joints, these say more than keypoints, which the wrong depth fits too.
    measures = watched = ("mpjpe", "error_2d")

    def __init__(self, run: Run) -> None:
        """Take an opened run."""
        super().__init__(run.state, run.out)
        self.run, self.speaks = run, run.processes.first
        self.model: nn.Module = shared(run.state.model, run.processes)
        self.model.train()
        if run.frozen_statistics:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def begin(self) -> None:
        """Bring in static fits."""
        run, fits = self.run, self.run.loop.config.fits
        if fits.static_fits is not None:
            _import_static(run, fits.static_fits, fits.static_fits_body)
        elif fits.mode == "static":
            with evaluating(run.state.model):
                for rows in run.loop.store.all_rows().split(CHUNK):
                    people = run.crowd.samples[rows].to(run.loop.device)
                    guess = estimate_all(run.state.model, run.loop, people, run.crowd.photos_of(rows))
                    run.loop.static_fits(rows, people, guess)

    def gradient(self, step: int) -> tuple[Tensor, Losses]:
        """See `Training`; shard by shard, so that any number of processes computes the same."""
        begun, run = perf_counter(), self.run
        epoch, place = divmod(step, run.deal.steps_per_epoch)
        owned = run.loop.store.owned
        total = torch.zeros((), device=run.loop.device)
        for number, shard in enumerate(owned):
            rows = run.rows(epoch, shard, place)
            seed = seed_of(run.schedule.seed, step, shard)
            # Dropout depends on step and shard alone, so an interrupted run repeats what it would have done.
            torch.manual_seed(seed + 1)
            changes = run.loop.config.teaching.augmentation
            augmentation = draw_augmentation(len(rows), run.crowd.photos_of(rows), changes, seed)
            batch = SpinBatch(rows, run.crowd.samples[rows].to(run.loop.device), augmentation)
            with gradients_kept_back(self.model, number + 1 < len(owned)):
                loss = run.loop.step(self.model, batch) / len(owned)
                loss.backward()
            total += loss.detach()
        run.loop.tally.add("seconds_step", perf_counter() - begun)
        total = run.processes.mean(total)
        return total, {"loss": total}

    def evaluate(self) -> dict[str, float]:
        """Measure network and store; every process measures the shards it owns."""
        run, loop = self.run, self.run.loop
        tally = run.processes.add(loop.tally.counts)
        network = summary(network_errors(run.state.model, run.apart.samples, run.apart.photos, loop))
        rows = loop.store.all_rows()[: run.measured_fits]
        stored = summary(store_errors(rows, run.crowd.samples[rows], loop))
        fits = run.processes.add(_store_sums(loop.store)) | {"people": float(len(run.crowd))}
        fits["energy"] = fits["energy"] / fits["finite"] if fits["finite"] else math.nan
        epoch = Epoch(run.state.step // run.deal.steps_per_epoch, network, stored, fits, tally)
        run.epochs.append(epoch)
        loop.tally = Tally()
        if run.processes.first:
            write_report(run.out, run.epochs, loop.config.fits.mode)
        shares = {name: epoch.share(name) for name in ("updated", "rejected")}
        return network | {f"store_{name}": value for name, value in stored.items()} | shares

    def write_best(self, path: Path) -> None:
        """See `Training`."""
        if self.run.processes.first:
            save_weights(path, replace(self.run.weights, model=self.run.state.model))

    def save(self) -> None:
        """Write store and network together."""
        checkpoint(self.run)

    def finish(self) -> None:
        """Write what others use: the weights, and the fits in SPIN's files."""
        run = self.run
        run.processes.wait()
        if not run.processes.first:
            return
        with run.state.average.applied_to(run.state.model):
            save_weights(run.out / FINAL, replace(run.weights, model=run.state.model))
        export_spin_fits(FitsStore(run.out / FITS, run.loop.store.key, run.schedule.shards), run.out)
        write_report(run.out, run.epochs, run.loop.config.fits.mode)


def _store_sums(store: FitsStore) -> dict[str, float]:
    """What processes add up about the fits that they own."""
    best = store.read(store.all_rows())
    finite = torch.isfinite(best.energy)
    return {
        "known": float((best.source != int(Source.NONE)).sum()),
        "updates": float(best.updates.sum()),
        "energy": float(best.energy[finite].double().sum()),
        "finite": float(finite.sum()),
    }


def _import_static(run: Run, folder: Path, of_body: str) -> None:
    body = run.loop.body
    if of_body not in (body.name, body.name.split("-")[0]):
        raise ValueError(
            f"The fits in {folder} are of body {of_body!r}, this run's is {body.name!r}; they do not mix. "
            "Give the body that they are of with --body, or say --static-fits-body if the file does not."
        )
    start = 0
    for name, size in zip(run.crowd.names, run.crowd.sizes, strict=True):
        fits = from_spin(read_spin_fits(folder / f"{name}_fits.npy", size))
        rows = run.loop.store.all_rows()
        rows = rows[(rows >= start) & (rows < start + size)]
        for part in rows.split(CHUNK):
            chosen = fits[part - start]
            judged = placed_and_judged(run.loop, chosen, run.crowd.samples[part])
            run.loop.store.keep_better(part, judged, chosen.source != int(Source.NONE))
        start += size
