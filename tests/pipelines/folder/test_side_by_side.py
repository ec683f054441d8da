"""Photos looked at and written by several threads, with stages of a stick figure."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from stick_stages import StickStages

from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.looking import photos_at_once, side_by_side
from fitloop.pipelines.folder.run import run_folder


class ManyAtOnce(StickStages):
    """Stages whose detector may be called from several threads."""

    detector = SimpleNamespace(thread_safe=True)


@pytest.fixture
def config(tmp_path) -> RunConfig:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(7):
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[0, 0, 0] = number % 3
        PillowImage.fromarray(pixels).save(folder / f"{number}.png")
    return RunConfig(images=folder, out=tmp_path / "out", batch_size=3, threads=4)


def _files(out: Path) -> dict[str, bytes]:
    told = {"run.json", "config.yaml"}
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name not in told}


def test_photos_written_side_by_side_are_those_written_one_after_the_other(config):
    alone = replace(config, out=config.out.with_name("alone"))
    assert run_folder(alone, StickStages) == run_folder(config, ManyAtOnce) == 0
    found = _files(config.out)
    assert found == _files(alone.out)
    assert sum(name.startswith("results") for name in found) == 7


def test_photos_are_written_by_other_threads_and_torch_works_in_one(config, monkeypatch):
    seen = set()
    save = np.savez

    def noting(file, **arrays):
        seen.add((threading.current_thread() is threading.main_thread(), torch.get_num_threads()))
        save(file, **arrays)

    monkeypatch.setattr(np, "savez", noting)
    run_folder(config, ManyAtOnce)
    assert seen == {(False, 1)}


def test_a_disk_that_fills_up_while_threads_write_leaves_whole_files_only(config, capsys, monkeypatch):
    save = np.savez

    def full(file, **arrays):
        if str(arrays["photo"]) >= "4":
            Path(file).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(file, **arrays)

    monkeypatch.setattr(np, "savez", full)
    assert run_folder(config, ManyAtOnce) == 3
    assert "No space left" in capsys.readouterr().err
    assert sorted(path.name for path in (config.out / "results").iterdir()) == [f"{n}.png.npz" for n in range(4)]
    assert not list(config.out.rglob(".writing-*"))


def test_an_interruption_waits_for_the_photos_that_are_being_written(config):
    class Interrupted(ManyAtOnce):
        def detect(self, image):
            if image.name == "6.png":
                raise KeyboardInterrupt
            return super().detect(image)

    assert run_folder(config, Interrupted) == 130
    assert sorted(path.name for path in (config.out / "results").iterdir()) == [f"{n}.png.npz" for n in range(6)]
    whole = replace(config, out=config.out.with_name("whole"))
    assert run_folder(config, ManyAtOnce) == run_folder(whole, ManyAtOnce) == 0
    assert _files(config.out) == _files(whole.out)


def test_torch_gets_its_threads_back_whatever_happens():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(KeyError), side_by_side(2):
            assert torch.get_num_threads() == 1
            raise KeyError
        with side_by_side(0):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def _begins_with() -> int:
    """Threads of torch in a thread that begins now."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_runs_that_overlap_leave_torch_and_the_collector_as_the_first_one_found_them(first_ends_first):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with ThreadPoolExecutor(1) as elsewhere:
            ours, theirs = side_by_side(2), side_by_side(2)
            ours.__enter__()
            elsewhere.submit(theirs.__enter__).result()
            ends = [lambda: ours.__exit__(None, None, None)]
            ends.append(lambda: elsewhere.submit(theirs.__exit__, None, None, None).result())
            first, last = ends if first_ends_first else reversed(ends)
            first()
            assert _begins_with() == 1 and gc.get_freeze_count() > 0
            # The run that goes on still works in one thread, and whoever called the other has three again.
            here, there = torch.get_num_threads(), elsewhere.submit(torch.get_num_threads).result()
            assert (here, there) == ((3, 1) if first_ends_first else (1, 3))
            last()
            assert elsewhere.submit(torch.get_num_threads).result() == torch.get_num_threads() == _begins_with() == 3
            assert gc.get_freeze_count() == 0
    finally:
        torch.set_num_threads(before)


def test_what_a_caller_froze_stays_frozen_and_a_run_within_a_run_ends_nothing():
    threads = torch.get_num_threads()
    gc.freeze()
    try:
        with side_by_side(2):
            with side_by_side(2):
                pass
            assert torch.get_num_threads() == 1
        assert gc.get_freeze_count() > 0 and torch.get_num_threads() == threads
    finally:
        gc.unfreeze()


def test_a_detector_of_one_thread_looks_at_one_photo_after_the_other(config):
    assert photos_at_once(config, StickStages(config)) == 0
    assert photos_at_once(config, ManyAtOnce(config)) == 4
