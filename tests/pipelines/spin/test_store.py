import dataclasses
import json

import numpy as np
import pytest
import torch
from toy import random_params

from fitloop.geometry.rotations import geodesic_angle
from fitloop.pipelines.spin.spin_files import export_spin_fits, from_spin, read_spin_fits
from fitloop.pipelines.spin.store import BestFits, FitsStore, Source, StoreKey, better_of

KEY = StoreKey("stick-1", 10, (("lsp", 5, "aa"), ("coco", 6, "bb")))
ROWS = torch.tensor([0, 3, 10])


def fits(count=3, seed=0, energy=5.0):
    return BestFits(
        random_params(count, seed=seed),
        torch.full((count,), energy),
        torch.full((count,), int(Source.LOOP)),
        torch.zeros(count, dtype=torch.long),
    )


def assert_same(first, second):
    assert geodesic_angle(first.params.rotations, second.params.rotations).max() < 1e-3
    torch.testing.assert_close(first.params.transl, second.params.transl)
    assert torch.equal(first.energy, second.energy) and torch.equal(first.source, second.source)
    assert torch.equal(first.updates, second.updates)


def everything(store):
    return [store.read(store.all_rows()).map(lambda t: t.clone())][0]


def test_a_new_store_knows_nobody(tmp_path):
    found = FitsStore(tmp_path, KEY).read(torch.arange(11))
    assert torch.isinf(found.energy).all() and (found.source == Source.NONE).all() and (found.updates == 0).all()


def test_the_better_is_kept_and_counted(tmp_path):
    store, yes = FitsStore(tmp_path, KEY), torch.ones(3, dtype=torch.bool)
    kept, better = store.keep_better(ROWS, fits(seed=1), yes)
    assert better.all() and kept.updates.tolist() == [1, 1, 1]
    proposal = dataclasses.replace(fits(seed=2), energy=torch.tensor([4.0, 6.0, float("nan")]))
    kept, better = store.keep_better(ROWS, proposal, yes)
    assert better.tolist() == [True, False, False] and kept.updates.tolist() == [2, 1, 1]
    expected = fits(seed=2).params.betas[0], fits(seed=1).params.betas[1]
    torch.testing.assert_close(kept.params.betas[:2], torch.stack(expected))
    assert kept.energy.tolist() == [4.0, 5.0, 5.0]


def test_what_the_gate_rejects_is_not_kept_however_low_its_energy():
    _, better = better_of(fits(), fits(seed=1, energy=0.1), torch.tensor([True, False, True]))
    assert better.tolist() == [True, False, True]


def test_the_margin_is_a_share_of_the_old_energy():
    allowed = torch.ones(3, dtype=torch.bool)
    proposal = dataclasses.replace(fits(seed=1), energy=torch.tensor([4.4, 4.6, 5.0]))
    assert better_of(fits(), proposal, allowed, margin=0.1)[1].tolist() == [True, False, False]
    nothing = dataclasses.replace(fits(), energy=torch.full((3,), torch.inf))
    assert better_of(nothing, proposal, allowed, margin=0.1)[1].all()


def test_a_checkpoint_survives_and_later_changes_are_found_again(tmp_path):
    store = FitsStore(tmp_path, KEY)
    store.write(ROWS, fits(seed=1))
    store.prepare_checkpoint(10)
    store.finish_checkpoint(10)
    store.write(ROWS, fits(seed=2, energy=1.0))
    again = FitsStore(tmp_path, KEY)
    again.recover(10)
    assert_same(again.read(ROWS), fits(seed=1))


@pytest.mark.parametrize("network_saved", [True, False])
def test_a_kill_between_the_two_halves_of_a_checkpoint_follows_the_network(tmp_path, network_saved):
    store = FitsStore(tmp_path, KEY)
    store.write(ROWS, fits(seed=1))
    store.prepare_checkpoint(10)
    store.finish_checkpoint(10)
    store.write(ROWS, fits(seed=2, energy=1.0))
    store.prepare_checkpoint(20)
    again = FitsStore(tmp_path, KEY)
    again.recover(20 if network_saved else 10)
    assert_same(again.read(ROWS), fits(seed=2, energy=1.0) if network_saved else fits(seed=1))
    assert not list(tmp_path.glob("*.step-*"))


def test_applying_changes_twice_is_harmless(tmp_path):
    store = FitsStore(tmp_path, KEY)
    store.write(ROWS, fits(seed=1))
    store.prepare_checkpoint(10)
    change = next(tmp_path.glob("*.step-*"))
    copy = change.read_bytes()
    store.finish_checkpoint(10)
    change.write_bytes(copy)
    again = FitsStore(tmp_path, KEY)
    again.recover(10)
    assert_same(again.read(ROWS), fits(seed=1))


def test_shards_hold_disjoint_rows_and_together_all(tmp_path):
    whole = FitsStore(tmp_path / "one", KEY, shards=2)
    whole.write(whole.all_rows(), fits(11))
    parts = [FitsStore(tmp_path / "two", KEY, shards=2, owned=(shard,)) for shard in (0, 1)]
    for store in (whole, *parts):
        if store is not whole:
            rows = store.all_rows()
            store.write(rows, fits(11)[rows])
        store.prepare_checkpoint(1)
        store.finish_checkpoint(1)
    assert sorted(torch.cat([store.all_rows() for store in parts]).tolist()) == list(range(11))
    for name in ("shard-0-of-2.npy", "shard-1-of-2.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with pytest.raises(ValueError, match="Row 1 lies in shard 1; this process owns"):
        parts[0].read(torch.tensor([1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body": "smpl-1"}, "have body 'stick-1', this run has 'smpl-1'"),
        ({"datasets": (("lsp", 5, "aa"), ("coco", 6, "cc"))}, "have datasets .*'bb'.* this run has .*'cc'"),
        ({"num_betas": 11}, "have num_betas 10"),
    ],
)
def test_a_store_of_something_else_is_refused(tmp_path, change, words):
    FitsStore(tmp_path, KEY)
    with pytest.raises(ValueError, match=words):
        FitsStore(tmp_path, dataclasses.replace(KEY, **change))


def test_another_number_of_shards_or_version_is_refused(tmp_path):
    FitsStore(tmp_path, KEY)
    with pytest.raises(ValueError, match="have shards 1, this run has 2"):
        FitsStore(tmp_path, KEY, shards=2)
    header = json.loads((tmp_path / "store.json").read_text())
    (tmp_path / "store.json").write_text(json.dumps(header | {"version": 99}))
    with pytest.raises(ValueError, match="have version 99"):
        FitsStore(tmp_path, KEY)


@pytest.mark.parametrize("name", ["store.json", "shard-0-of-1.npy"])
def test_half_written_files_are_refused(tmp_path, name):
    FitsStore(tmp_path, KEY)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"{name} is not"):
        FitsStore(tmp_path, KEY)


def test_a_half_written_change_is_refused(tmp_path):
    store = FitsStore(tmp_path, KEY)
    store.write(ROWS, fits())
    store.prepare_checkpoint(5)
    change = next(tmp_path.glob("*.step-*"))
    change.write_bytes(change.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is not a whole file of changes"):
        FitsStore(tmp_path, KEY).recover(5)


def test_fits_are_exported_and_imported_as_spin_does(tmp_path):
    store = FitsStore(tmp_path / "store", KEY)
    store.write(torch.arange(5, 11), fits(6))
    lsp, coco = export_spin_fits(store, tmp_path)
    assert lsp.name == "lsp_fits.npy" and np.load(coco).shape == (6, 82) and (np.load(lsp) == 0).all()
    back = from_spin(read_spin_fits(coco, 6))
    assert geodesic_angle(back.params.rotations, fits(6).params.rotations).max() < 1e-3
    torch.testing.assert_close(back.params.betas, fits(6).params.betas)
    assert torch.isinf(back.energy).all() and (back.source == Source.STATIC).all()


def test_spins_released_fits_know_which_are_valid(tmp_path):
    flags = np.array([1, 0, 1])
    np.savez(tmp_path / "coco.npz", pose=np.zeros((3, 72)), shape=np.zeros((3, 10)), valid_fit=flags)
    back = from_spin(read_spin_fits(tmp_path / "coco.npz", 3))
    assert back.source.tolist() == [1, 0, 1]


def test_fits_of_another_data_set_or_half_a_file_are_refused(tmp_path):
    np.save(tmp_path / "lsp_fits.npy", np.zeros((4, 82)))
    with pytest.raises(ValueError, match=r"has shape \(4, 82\), expected \(5, 82\).*another data set"):
        read_spin_fits(tmp_path / "lsp_fits.npy", 5)
    content = (tmp_path / "lsp_fits.npy").read_bytes()
    (tmp_path / "lsp_fits.npy").write_bytes(content[:500])
    with pytest.raises(ValueError, match="is the file whole"):
        read_spin_fits(tmp_path / "lsp_fits.npy", 4)
    with pytest.raises(FileNotFoundError, match="_fits.npy"):
        read_spin_fits(tmp_path / "none.npy", 4)
