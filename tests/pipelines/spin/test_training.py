import dataclasses
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fitloop.pipelines.spin.training as program
from fitloop.evaluation.report.plots import Series, lines
from fitloop.fitting.plausibility import PlausibilityConfig
from fitloop.pipelines import train_spin as command
from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.spin.compat import as_original
from fitloop.pipelines.spin.config import PARTS, FitsConfig, ScheduleConfig, SpinConfig
from fitloop.pipelines.spin.quirks import SPIN_QUIRKS, Quirks
from fitloop.pipelines.spin.run import checkpoint, open_run_of
from fitloop.pipelines.spin.samples import Deal, make_crowd, split
from fitloop.pipelines.spin.store import FitsStore, Source
from fitloop.pipelines.spin.training import go_on
from fitloop.pipelines.training.state import TrainingState
from fitloop.regressor import PRESETS, load_weights

TOY = Path(__file__).parents[2] / "spin_toy.py"
toy = runpy.run_path(str(TOY))
toy_run, people, BODY = toy["toy_run"], toy["people"], toy["BODY"]


def store_bytes(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "fits").glob("*.npy"))}


def weights_of(folder):
    return load_weights(folder / "final.safetensors").model.state_dict()


def assert_same_weights(first, second):
    for name, tensor in weights_of(first).items():
        assert torch.equal(tensor, weights_of(second)[name]), name


def test_the_store_fills_with_fits_that_are_better_than_the_network(tmp_path):
    epochs = go_on(toy_run(tmp_path))
    assert [epoch.number for epoch in epochs] == [0, 1, 2]
    assert epochs[-1].fits["known"] >= 18
    assert epochs[-1].store["error_2d"] < 0.5 * epochs[-1].network["error_2d"]
    assert {"mpjpe", "pa_mpjpe"} <= set(epochs[-1].store)


def test_the_energy_of_the_store_never_rises(tmp_path, monkeypatch):
    run = toy_run(tmp_path, epochs=4)
    rows = run.loop.store.all_rows()
    energies = []
    measure = program.SpinTraining.evaluate

    def watched(training):
        energies.append(run.loop.store.read(rows).energy)
        return measure(training)

    monkeypatch.setattr(program.SpinTraining, "evaluate", watched)
    go_on(run)
    for before, after in zip(energies, energies[1:], strict=False):
        assert (after <= before).all()


def test_training_follows_the_fits(tmp_path):
    epochs = go_on(toy_run(tmp_path, epochs=10, learning_rate=3e-3))
    assert epochs[-1].network["error_2d"] < 0.93 * epochs[0].network["error_2d"]


def test_people_of_whom_nothing_was_seen_are_rejected_and_counted(tmp_path):
    epochs = go_on(toy_run(tmp_path))
    assert epochs[1].tally["rejected_evidence"] == 2
    stored = FitsStore(tmp_path / "run" / "fits", toy_run(tmp_path).loop.store.key).read(torch.arange(24))
    assert (stored.source[:2] == Source.NONE).all()


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


def die_at(patch, owner, name, condition):
    """Kill the run when ``owner.name`` is called and ``condition`` holds for its arguments."""
    original = getattr(owner, name)

    def dying(*arguments):
        if condition(*arguments):
            raise Killed
        return original(*arguments)

    patch.setattr(owner, name, dying)


@pytest.mark.parametrize("moment", ["in a step", "store written", "network written"])
def test_a_killed_run_goes_on_to_the_same_store_and_weights(tmp_path, moment, monkeypatch):
    go_on(toy_run(tmp_path, "whole"))
    run = toy_run(tmp_path, "killed")
    with monkeypatch.context() as patch:
        if moment == "in a step":
            die_at(patch, program.SpinTraining, "gradient", lambda training, step: step == 5)
        elif moment == "store written":
            die_at(patch, TrainingState, "save", lambda state, path: state.step == 4)
        else:
            die_at(patch, FitsStore, "finish_checkpoint", lambda store, step: step == 4)
        with pytest.raises(Killed):
            go_on(run)
    again = toy_run(tmp_path, "killed")
    assert again.state.step == (2 if moment == "store written" else 4)
    epochs = go_on(again)
    assert store_bytes(tmp_path / "whole") == store_bytes(tmp_path / "killed")
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")
    whole = json.loads((tmp_path / "whole" / "report.json").read_text())
    for first, second in zip(whole, (epoch.tree() for epoch in epochs), strict=True):
        assert first["network"] == pytest.approx(second["network"], nan_ok=True)
        for name in ("updated", "rejected", "valid", "people"):
            assert first["tally"].get(name) == second["tally"].get(name)


def test_two_processes_train_as_one_does(tmp_path):
    toy["network"](tmp_path)
    go_on(toy_run(tmp_path, "one", shards=2))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(TOY)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [*command, str(tmp_path), "two"], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4)
    first, second = np.load(tmp_path / "one" / "toy_fits.npy"), np.load(tmp_path / "two" / "toy_fits.npy")
    np.testing.assert_allclose(first, second, atol=2e-2)
    reports = [json.loads((tmp_path / name / "report.json").read_text())[-1] for name in ("one", "two")]
    assert reports[0]["fits"]["known"] == reports[1]["fits"]["known"]
    assert reports[0]["tally"]["people"] == reports[1]["tally"]["people"] == 24


def test_static_fits_are_made_once_and_stay(tmp_path):
    run = toy_run(tmp_path, mode="static")
    epochs = go_on(run)
    stored = run.loop.store.read(run.loop.store.all_rows())
    known = stored.source != Source.NONE
    assert known.sum() >= 18 and (stored.source[known] == Source.STATIC).all()
    assert (stored.updates[known] == 1).all()
    assert epochs[0].store == pytest.approx(epochs[-1].store)


def test_keypoints_alone_store_nothing(tmp_path):
    epochs = go_on(toy_run(tmp_path, mode="keypoints"))
    assert epochs[-1].fits["known"] == 0 and epochs[-1].tally["valid"] == 0


def test_a_gate_that_believes_nothing_leaves_the_store_empty(tmp_path):
    epochs = go_on(toy_run(tmp_path, gate=PlausibilityConfig(pose_prior=1e-3)))
    assert epochs[-1].fits["known"] == 0
    assert epochs[-1].tally["rejected_pose_prior"] == 24


def test_the_original_has_no_gate(tmp_path):
    epochs = go_on(toy_run(tmp_path, gate=PlausibilityConfig(pose_prior=1e-3), spin_compat=True))
    assert epochs[-1].fits["known"] >= 18


def limited(tmp_path, name, **options):
    run = toy_run(tmp_path, name, **options)
    betas = torch.zeros(2, 10)
    betas[0, 3], betas[0, 4], betas[1, 2] = 5.0, 1.0, -2.0
    return run.loop.limited(betas)


def test_shape_is_limited_number_by_number_or_as_spin_does_all_at_once(tmp_path):
    ours, spins = limited(tmp_path, "ours"), limited(tmp_path, "spins", quirks=Quirks(betas_all_or_none=True))
    assert ours[0, 3] == 3.0 and ours[0, 4] == 1.0
    assert (spins[0] == 0).all() and spins[1, 2] == -2.0


def test_what_is_stored_is_not_limited(tmp_path):
    run = toy_run(tmp_path, max_beta=1e-3)
    go_on(run)
    assert run.loop.store.read(torch.arange(24)).params.betas.abs().max() > 0.1


def test_spins_comparison_ignores_the_priors(tmp_path):
    from fitloop.pipelines.spin.compat import compare_as_spin
    from fitloop.pipelines.spin.store import BestFits

    run = toy_run(tmp_path)
    go_on(run)
    rows = torch.arange(2, 12)
    # The gate may leave some without a fit.
    rows = rows[run.loop.store.read(rows).updates > 0]
    assert len(rows) >= 5
    best, samples = run.loop.store.read(rows), run.crowd.samples[rows]
    shifted = dataclasses.replace(best.params, transl=best.params.transl + torch.tensor([0.3, 0.0, 0.0]))
    worse = BestFits(shifted, best.energy * 0.1, best.source, best.updates)
    for quirks, old_is_right in ((Quirks(), False), (Quirks(place_old_fit_anew=True), True)):
        old, new = compare_as_spin(worse, best, samples, run.loop.reprojection, quirks)
        assert (new.energy < 50).all()
        assert (old.energy < 2 * new.energy + 20).all() == old_is_right


def test_the_truth_teaches_where_it_is_known(tmp_path):
    known = dataclasses.replace(
        people(24, 1, "toy"),
        pose=np.full((24, 72), 0.3, np.float32),
        betas=np.full((24, 10), 0.5, np.float32),
        has_params=np.arange(24) % 2 == 0,
    )
    samples = make_crowd([known], [None], BODY).samples
    assert samples.has_truth.tolist() == [1.0, 0.0] * 12
    assert (samples.truth.betas == 0.5).all()
    other = dataclasses.replace(known, body="smpl")
    assert (make_crowd([other], [None], BODY).samples.has_truth == 0).all()


def test_shards_visit_their_own_rows_once_an_epoch_for_any_number_of_processes():
    deal = Deal((10, 14), (0.5, 0.5), shards=2, batch_size=4, seed=0)
    assert deal.steps_per_epoch == 6
    for shard in (0, 1):
        rows = deal.rows(3, shard)
        assert rows.shape == (6, 2) and (rows % 2 == shard).all()
        assert torch.equal(rows, deal.rows(3, shard)) and not torch.equal(rows, deal.rows(4, shard))
    alone = Deal((24,), (1.0,), shards=2, batch_size=4, seed=0)
    seen = torch.cat([alone.rows(0, shard).flatten() for shard in (0, 1)])
    assert sorted(seen.tolist()) == list(range(24))


def test_photos_kept_apart_depend_on_their_names_alone():
    dataset = people(60, 0, "toy")
    train, apart = split(dataset)
    assert not set(train.image_names) & set(apart.image_names) and len(train) + len(apart) == 60
    again = split(dataset.take(np.arange(60)[::-1].copy()))[1]
    assert set(again.image_names) == set(apart.image_names)
    with pytest.raises(ValueError, match="too few to keep some apart"):
        split(dataset.take(np.array([0])))


def test_weights_of_another_body_and_a_store_of_another_data_set_are_refused(tmp_path):
    toy["network"](tmp_path, body="open-1")
    with pytest.raises(ValueError, match="These weights regress body 'open-1'"):
        toy_run(tmp_path)
    (tmp_path / "tiny.safetensors").unlink()
    run = toy_run(tmp_path)
    changed = dataclasses.replace(run.loop.store.key, datasets=(("other", 24, "x"),))
    with pytest.raises(ValueError, match="have datasets"):
        FitsStore(tmp_path / "run" / "fits", changed)


def test_encoders_of_images_say_that_they_need_photos(tmp_path):
    from fitloop.pipelines.spin.inputs import undisturbed, view_and_inputs
    from fitloop.regressor import HMRConfig

    samples = make_crowd([people(2, 0, "toy")], [None], BODY).samples
    with pytest.raises(ValueError, match="give the folder of the photos with --images"):
        view_and_inputs(samples, undisturbed(2, (None, None)), HMRConfig("resnet18", image_size=32))


def test_progress_of_another_checkpoint_is_refused(tmp_path):
    run = toy_run(tmp_path)
    run.state.step = 3
    checkpoint(run)
    (tmp_path / "run" / "progress.json").write_text('{"checkpoints": []}')
    with pytest.raises(ValueError, match="does not belong to the checkpoint of step 3"):
        toy_run(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 10, "shards": 3}, "batch_size must be a multiple of shards"),
        ({"weights": (1.0, 2.0)}, "weights has 2 entries for 1 data sets"),
        ({"margin": 1.0}, "margin is a share"),
        ({"data": ()}, "data is empty"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        SpinConfig(**({"data": (Path("a.npz"),)} | options))


def test_a_missing_data_set_ends_in_one_sentence(tmp_path, capsys):
    code = command.main(["--data", str(tmp_path / "none.npz"), "--out", str(tmp_path)])
    assert code == 2 and "make it with fitloop prepare" in capsys.readouterr().err


def test_training_that_diverges_stops_keeps_the_best_and_says_so(tmp_path):
    with pytest.raises(
        TrainingStopped, match=r"diverged: .* on held-out people was .* at the start .* lower --learning"
    ):
        go_on(toy_run(tmp_path, epochs=6, learning_rate=10.0, clip=1e6))
    out = tmp_path / "run"
    start = load_weights(toy["network"](tmp_path)).model.state_dict()
    best = load_weights(out / "best.safetensors").model.state_dict()
    for name, tensor in start.items():
        torch.testing.assert_close(best[name], tensor, atol=1e-3, rtol=1e-3)
    assert not (out / "final.safetensors").exists() and (out / "report.html").is_file()
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 3, 6, 9]


def test_the_best_weights_lie_beside_the_final_ones(tmp_path):
    epochs = go_on(toy_run(tmp_path, epochs=3, learning_rate=3e-3))
    errors = [epoch.network["mpjpe"] for epoch in epochs]
    best = load_weights(tmp_path / "run" / "best.safetensors").model.state_dict()
    first = load_weights(toy["network"](tmp_path)).model.state_dict()
    is_start = all(torch.allclose(best[name], tensor, atol=1e-3) for name, tensor in first.items())
    assert is_start == (min(errors) == errors[0])
    assert (tmp_path / "run" / "final.safetensors").is_file()


def test_the_report_draws_network_store_and_shares(tmp_path):
    go_on(toy_run(tmp_path))
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<svg") == page.count("<figure>") == 5
    assert "Regression against refinement: loop" in page and "taught by a fit" in page
    assert "2D error (px of 224): network from" in page
    assert "report.html" in (tmp_path / "run" / "report.md").read_text()


def test_every_part_of_the_options_gets_its_own_values_and_none_of_the_others():
    config = SpinConfig(data=(Path("a.npz"),), epochs=3, margin=0.1, max_beta=2.0, refine=False, body="x")
    assert config.part(ScheduleConfig).epochs == 3 and config.part(FitsConfig).margin == 0.1
    names = [field.name for kind in PARTS for field in dataclasses.fields(kind)]
    assert len(names) == len(set(names)), "no option belongs to two parts"
    whole = {field.name for field in dataclasses.fields(SpinConfig)}
    assert whole - set(names) == {"out", "quirks", "device", "threads", "tensorboard"}


def test_the_original_is_the_same_config_however_it_was_asked_for():
    config = as_original(SpinConfig(data=(Path("a.npz"),), spin_compat=True, learning_rate=1e-3), "spin49")
    rates = config.part(ScheduleConfig).rates(10)
    assert {rates(step) for step in range(100)} == {1e-3}
    assert config.quirks == SPIN_QUIRKS and config.loss == PRESETS["spin"] and config.average == 0.0
    assert "left_hip_openpose" in config.fit.ignored


def test_what_was_not_measured_leaves_no_point_in_a_plot_and_nothing_at_all_no_plot():
    places = np.array([0.0, 1.0, 2.0])
    drawn = lines([(Series("network", 0, np.array([4.0, 2.0, np.nan])), places)], "error", "epoch")
    assert drawn.count("<polyline") == 1 and "network from 4.0 to 2.0" in drawn
    points = drawn.split('points="')[1].split('"')[0].split()
    assert len(points) == 2 and float(points[0].split(",")[1]) < float(points[1].split(",")[1]), "4 is above 2"
    assert lines([(Series("network", 0, np.full(3, np.nan)), places)], "error", "epoch") == ""


def with_masks(folder, level):
    """A run on people of whom every mask covers the box."""
    seen = people(16, 1, "toy")
    names = tuple(f"{row}.png" for row in range(16))
    for photo, name, box in zip(seen.image_names, names, seen.boxes.round().astype(int), strict=True):
        mask = np.zeros((480, 640), np.uint8)
        mask[max(box[1], 0) : box[3], max(box[0], 0) : box[2]] = level
        Image.fromarray(mask).save(folder / name)
        Image.new("RGB", (640, 480)).save(folder / photo)
    crowd = make_crowd([dataclasses.replace(seen, mask_names=names)], [folder], BODY, masks=True)
    config = SpinConfig(
        data=(Path("toy.npz"),),
        out=folder / "run",
        body="stick",
        regressor=str(toy["network"](folder)),
        mode="keypoints+silhouettes",
        epochs=1,
        batch_size=8,
    )
    return open_run_of(config, BODY, crowd, make_crowd([people(8, 2, "apart")], [None], BODY))


def test_outlines_teach_beside_keypoints_where_a_data_set_names_masks(tmp_path):
    run = with_masks(tmp_path, 255)
    epochs = go_on(run)
    assert epochs[-1].fits["known"] == 0 and epochs[-1].tally["valid"] == 0
    assert 0.0 < epochs[-1].tally["loss_silhouette"] < 0.3 * epochs[-1].tally["steps"]


def test_outlines_without_a_mask_are_refused(tmp_path):
    with pytest.raises(ValueError, match="nobody has one"):
        with_masks(tmp_path, 0)
    with pytest.raises(ValueError, match="nobody has one"):
        toy_run(tmp_path, mode="keypoints+silhouettes")
