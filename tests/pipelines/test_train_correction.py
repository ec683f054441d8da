"""Training of the correction network on a few made-up photos."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from refinement_scenes import BODY
from safetensors.torch import load_file
from sample_scenes import ROWS, samples

import fitloop.pipelines.train_correction as training
from fitloop.pipelines.console.endings import TrainingStopped
from fitloop.pipelines.lessons.correction_lessons import ClueReader, LessonMaker, all_lessons, mirror_rows
from fitloop.pipelines.lessons.displacement_batches import RefinementBatches
from fitloop.pipelines.lessons.erring_fits import ErringFits
from fitloop.pipelines.train_correction import train
from fitloop.pipelines.training.correction_config import CorrectionTrainConfig
from fitloop.refinement import DisplacementNet, load_network
from fitloop.refinement.network import NetworkConfig
from fitloop.refinement.weights import load_correction, save_network
from fitloop.regressor import load_regressor


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    for name, seed in (("training", 0), ("held-out", 1)):
        samples(seed).save(folder / name, 0)
    torch.manual_seed(0)
    save_network(folder / "displacement.safetensors", DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))))
    return folder


def reader(folder: Path, network: DisplacementNet, kind: str = "coco17") -> ClueReader:
    return ClueReader(folder / "held-out", BODY, network, ErringFits(BODY, load_regressor("mean", BODY)), (kind,))


def config(folder: Path, out: Path, **changed) -> CorrectionTrainConfig:
    usual = {"epochs": 4.0, "batch_size": 8, "evaluate_every": 4, "width": 16, "layers": 1, "warmup": 1}
    usual |= {"kinds": ("detected", "coco17"), "regressor": "mean", "uncertainty": 4}
    weights = folder / "displacement.safetensors"
    return CorrectionTrainConfig(samples=(folder,), displacement=weights, out=out, **{**usual, **changed})


def test_training_goes_on_where_it_stopped_and_leaves_weights(folder, tmp_path, monkeypatch):
    errors = train(config(folder, tmp_path))
    assert errors["pve_before"] > 0 and errors["pve_after"] != errors["pve_before"]
    looked = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "seen").iterdir()}
    names = ("0-held-out-00000", "0-training-00000", "0-training-00000-mirrored")
    assert set(looked) == {f"{name}.safetensors" for name in names}
    steps = []
    taken = training.CorrectionTraining.gradient

    def counted(learning, step):
        steps.append(step)
        return taken(learning, step)

    monkeypatch.setattr(training.CorrectionTraining, "gradient", counted)
    train(config(folder, tmp_path, epochs=5.0))
    assert steps == list(range(8, 10)), "16 people straight and 16 mirrored, 8 at once"
    assert looked == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "seen").iterdir()}
    displacement = load_network(folder / "displacement.safetensors")
    assert load_correction(displacement, tmp_path / "correction.safetensors").config.width == 16


def test_a_step_turns_the_joints_once(folder, tmp_path, monkeypatch):
    learning = training.open_training(config(folder, tmp_path), torch.device("cpu"))
    turns, turn = [], training.rotvec_to_rotmat
    monkeypatch.setattr(training, "rotvec_to_rotmat", lambda turned: turns.append(turned.shape) or turn(turned))
    _, losses = learning.gradient(0)
    assert turns == [(8, 24, 3)] and losses.keys() == {"pose", "shape", "rotation", "spread"}


def test_training_that_diverges_stops_and_keeps_the_best(folder, tmp_path, monkeypatch):
    far = iter([50.0, 200.0, 200.0, 200.0])
    monkeypatch.setattr(training.CorrectionTraining, "evaluate", lambda learning: {"pve_after": next(far)})
    with pytest.raises(TrainingStopped, match="pve_after on held-out people was 50.0 at the start"):
        train(config(folder, tmp_path, evaluate_every=1))
    displacement = load_network(folder / "displacement.safetensors")
    assert load_correction(displacement, tmp_path / "best.safetensors").config.width == 16
    assert not (tmp_path / "correction.safetensors").exists()


def test_photos_are_looked_at_again_by_another_network_and_if_the_file_is_damaged(folder, tmp_path):
    path = tmp_path / "seen.safetensors"
    torch.manual_seed(1)
    other = DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))).eval()
    first = reader(folder, load_network(folder / "displacement.safetensors"))
    second = reader(folder, other)
    first.read(0, {False: path})
    before = load_file(path)["coco17.features"]
    second.read(0, {False: path})
    assert not torch.equal(load_file(path)["coco17.features"], before)
    path.write_bytes(path.read_bytes()[:100])
    first.read(0, {False: path})
    torch.testing.assert_close(load_file(path)["coco17.features"], before)


def test_a_chunk_is_guessed_and_fitted_once_for_both_views(folder, tmp_path, monkeypatch):
    asked, of_kind = [], ErringFits.of_kind

    def counted(fits, kind, *about):
        asked.append(kind)
        return of_kind(fits, kind, *about)

    monkeypatch.setattr(ErringFits, "of_kind", counted)
    train(config(folder, tmp_path, epochs=0.1))
    assert sorted(asked) == ["coco17", "coco17", "detected", "detected"], "of training once, and of held-out"
    assert len(list((tmp_path / "seen").iterdir())) == 3


def test_each_chunk_has_its_own_people_whose_guess_is_not_told(folder, tmp_path):
    path = tmp_path / "seen.safetensors"
    reader(folder, load_network(folder / "displacement.safetensors")).read(0, {False: path})
    maker = LessonMaker(BODY, unguessed=0.5)
    told = [all_lessons(maker, [path, path, path]).seen.whole[:, -2] for _ in range(2)]
    assert torch.equal(*told), "the same whenever it is asked for"
    chunks = {tuple(chunk.tolist()) for chunk in told[0].split(ROWS)}
    assert len(chunks) == 3 and 0.0 < told[0].mean() < 1.0


def test_the_estimate_before_any_correction_has_the_error_that_it_has(folder, tmp_path):
    looking = reader(folder, load_network(folder / "displacement.safetensors"), "detected")
    looking.read(0, {False: tmp_path / "seen.safetensors"})
    maker = LessonMaker(BODY)
    (lesson,) = maker(tmp_path / "seen.safetensors")
    rows = looking.batches.rows([(0, row) for row in range(ROWS)])
    ours, true = (BODY(one.params) for one in (looking.erring(0)["detected"].fitted, rows.truth))
    expected = (ours.joints - ours.joints[:, :1]) - (true.joints - true.joints[:, :1])
    found = maker.points(lesson.rotations, lesson.betas) - lesson.points.float()
    torch.testing.assert_close(found[:, :24], expected, atol=2e-3, rtol=0)
    # What is left out of the network's input is left out of the files.
    assert len(load_file(tmp_path / "seen.safetensors")) == 14


def test_people_in_a_mirror_err_as_much_and_are_where_the_mirror_shows_them(folder):
    rows = RefinementBatches(folder / "training", BODY, varied=False).rows([(0, row) for row in range(ROWS)])
    mirrored = mirror_rows(rows, BODY)
    for one, other in ((rows.truth, mirrored.truth), (rows.estimates[0], mirrored.estimates[0])):
        straight, flipped = BODY(one.params).joints, BODY(other.params).joints
        torch.testing.assert_close(flipped[:, 0], straight[:, 0] * torch.tensor([-1.0, 1.0, 1.0]))
        torch.testing.assert_close(flipped[:, 1], straight[:, 2] * torch.tensor([-1.0, 1.0, 1.0]), atol=5e-3, rtol=0)
    again = mirror_rows(mirrored, BODY)
    torch.testing.assert_close(again.photos, rows.photos)
    torch.testing.assert_close(again.truth.params.transl, rows.truth.params.transl)
    torch.testing.assert_close(again.truth.camera.principal_point, rows.truth.camera.principal_point)


def test_training_starts_from_weights_and_looks_at_several_folders(folder, tmp_path):
    train(config(folder, tmp_path / "first"))
    weights = tmp_path / "first" / "correction.safetensors"
    twice = replace(config(folder, tmp_path / "second", start=weights, learning_rate=0.0), samples=(folder, folder))
    again, before = train(twice), train(config(folder, tmp_path / "first"))
    assert again["pve_after"] == pytest.approx(before["pve_after"], rel=1e-3)
    assert again["pve_after_1"] == again["pve_after"]


def test_folders_without_photos_and_unknown_estimates_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="train-refinement"):
        config(tmp_path, tmp_path)
    with pytest.raises(ValueError, match="kinds some of .*guessed"):
        config(folder, tmp_path, kinds=("guessed",))
