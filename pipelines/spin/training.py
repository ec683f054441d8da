"""The course of a training with fitting in the loop."""

import math
import sys
from dataclasses import replace
from time import perf_counter

import torch
from torch import nn

from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.spin.inputs import draw
from fitloop.pipelines.spin.loop import Tally, estimate_all, placed_and_judged
from fitloop.pipelines.spin.measure import CHUNK, network_errors, store_errors, summary
from fitloop.pipelines.spin.report import Epoch, write_report
from fitloop.pipelines.spin.run import FITS, Run, checkpoint
from fitloop.pipelines.spin.samples import seed_of
from fitloop.pipelines.spin.spin_files import export_spin_fits, from_spin, read_spin_fits
from fitloop.pipelines.spin.store import FitsStore, Source
from fitloop.pipelines.training.processes import gradients_kept_back, shared
from fitloop.regressor import save_weights

FINAL = "final.safetensors"

SLOW_EPOCH = 100
"""Epochs of so many steps are worth a picture each; others get one at the end."""


def go_on(run: Run) -> list[Epoch]:
    """Train a run to its end; see `train_spin`."""
    config, processes = run.config, run.processes
    model = shared(run.state.model, processes)
    _set_training(run, model)
    if not run.epochs:
        _before_training(run, model)
    while run.state.step < config.epochs * run.deal.steps_per_epoch:
        try:
            _step(run, model)
        except KeyboardInterrupt:
            checkpoint(run)
            raise
        if run.state.step % run.deal.steps_per_epoch == 0:
            _end_epoch(run, model)
        if run.state.step % config.save_every == 0:
            checkpoint(run)
    checkpoint(run)
    _finish(run)
    return run.epochs


def _set_training(run: Run, model: nn.Module) -> None:
    model.train()
    if run.config.frozen_statistics and not run.config.spin_compat:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _before_training(run: Run, model: nn.Module) -> None:
    """Measure the start, bring in static fits, save: a run killed in its first steps starts from here."""
    config, loop = run.config, run.loop
    if config.static_fits is not None:
        _import_static(run)
    elif config.mode == "static":
        run.state.model.eval()
        for rows in run.loop.store.all_rows().split(CHUNK):
            samples = run.crowd.samples[rows].to(loop.device)
            photos = tuple(run.crowd.photos[row] for row in rows.tolist())
            loop.static_fits(rows, samples, estimate_all(run.state.model, loop, samples, photos))
        _set_training(run, model)
    _measure(run, model)
    loop.tally = Tally()
    checkpoint(run)


def _import_static(run: Run) -> None:
    config, body = run.config, run.loop.body
    assert config.static_fits is not None
    if config.static_fits_body not in (body.name, body.name.split("-")[0]):
        raise ValueError(
            f"The fits in {config.static_fits} are of body {config.static_fits_body!r}, this run's is {body.name!r}; "
            "they do not mix."
        )
    start = 0
    for name, size in zip(run.crowd.names, run.crowd.sizes, strict=True):
        fits = from_spin(read_spin_fits(config.static_fits / f"{name}_fits.npy", size))
        rows = run.loop.store.all_rows()
        rows = rows[(rows >= start) & (rows < start + size)]
        for part in rows.split(CHUNK):
            chosen = fits[part - start]
            judged = placed_and_judged(run.loop, chosen, run.crowd.samples[part])
            run.loop.store.keep_better(part, judged, chosen.source != int(Source.NONE))
        start += size


def _step(run: Run, model: nn.Module) -> None:
    """Learn from one batch: shard by shard, so that any number of processes computes the same."""
    begun = perf_counter()
    config, deal, state = run.config, run.deal, run.state
    epoch, place = divmod(state.step, deal.steps_per_epoch)
    optimizer = state.optimizers["model"]
    for group in optimizer.param_groups:
        group["lr"] = config.rate(state.step, config.epochs * deal.steps_per_epoch)
    optimizer.zero_grad(set_to_none=True)
    owned = run.loop.store.owned
    for number, shard in enumerate(owned):
        rows = run.rows(epoch, shard, place)
        seed = seed_of(config.seed, state.step, shard)
        photos = tuple(run.crowd.photos[row] for row in rows.tolist())
        # Dropout depends on step and shard alone, so an interrupted run repeats what it would have done.
        torch.manual_seed(seed + 1)
        with gradients_kept_back(model, number + 1 < len(owned)):
            drawn = draw(len(rows), photos, config.augmentation, seed)
            loss = run.loop.step(model, rows, run.crowd.samples[rows].to(run.loop.device), drawn)
            (loss / len(owned)).backward()
    length = torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.longest_gradient)
    if not bool(torch.isfinite(length)):
        raise TrainingStopped(
            f"The gradient of step {state.step} (epoch {epoch + 1}) is not finite. The checkpoint in {config.out} is "
            "good; lower the learning rate and start again."
        )
    optimizer.step()
    state.average.update(state.model)
    state.step += 1
    run.loop.tally.add("seconds_step", perf_counter() - begun)


def _end_epoch(run: Run, model: nn.Module) -> None:
    _measure(run, model)
    run.loop.tally = Tally()
    if run.processes.first:
        write_report(run.config.out, run.epochs, run.config.mode, run.deal.steps_per_epoch >= SLOW_EPOCH)


def _measure(run: Run, model: nn.Module) -> None:
    """Measure network and store; every process measures the shards it owns."""
    tally = run.processes.add(run.loop.tally.counts)
    limit = run.config.held_out_people
    apart = run.apart.samples[slice(0, limit)]
    with run.state.average.applied_to(run.state.model):
        network = summary(network_errors(run.state.model, apart, run.apart.photos[:limit], run.loop))
    rows = run.loop.store.all_rows()[:limit]
    stored = summary(store_errors(rows, run.crowd.samples[rows], run.loop))
    _set_training(run, model)
    best = run.loop.store.read(run.loop.store.all_rows())
    sums = {"known": float((best.source != int(Source.NONE)).sum()), "updates": float(best.updates.sum())}
    finite = torch.isfinite(best.energy)
    sums |= {"energy": float(best.energy[finite].double().sum()), "finite": float(finite.sum())}
    sums = run.processes.add(sums)
    sums["energy"] = sums["energy"] / sums["finite"] if sums["finite"] else math.nan
    number = run.state.step // run.deal.steps_per_epoch
    epoch = Epoch(number, network, stored, {**sums, "people": float(len(run.crowd))}, tally)
    run.epochs.append(epoch)
    if run.processes.first:
        sys.stderr.write(epoch.line() + "\n")


def _finish(run: Run) -> None:
    """Write what others use: the weights, and the fits in SPIN's files."""
    run.processes.wait()
    if not run.processes.first:
        return
    config, key = run.config, run.loop.store.key
    with run.state.average.applied_to(run.state.model):
        save_weights(config.out / FINAL, replace(run.weights, model=run.state.model))
    export_spin_fits(FitsStore(config.out / FITS, key, config.shards), config.out)
    write_report(config.out, run.epochs, config.mode)
