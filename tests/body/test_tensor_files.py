"""Checkpoints that hold more than tensors: these are read, and nothing else is run."""

import zipfile
from collections import OrderedDict

import pytest
import torch

from fitloop.body.tensor_files import load_tensors


class Callback:
    """Anything a trainer keeps."""

    def __init__(self):
        self.kept = {"a": [1, 2]}


class Runs:
    def __reduce__(self):
        return pytest.fail, ("something in the file was run",)


def test_tensors_are_read_beside_objects_of_unknown_classes(tmp_path):
    path = tmp_path / "last.ckpt"
    state = OrderedDict(a=torch.randn(3, 4), b=torch.arange(5), c=torch.randn(4, 6).half().T[2:])
    torch.save(
        {"state_dict": state, "callbacks": {"x": Callback(), "y": Runs()}, "hyper": [Runs(), {1: Callback()}]}, path
    )
    found = load_tensors(path)
    assert list(found) == ["a", "b", "c"]
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor)


def test_what_is_no_checkpoint_of_tensors_says_so(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_tensors(path)
    for content, told in (({"a": 1}, "no tensors by name; it has a"), ([1], "holds a list"), (Callback(), "holds a")):
        torch.save(content, path)
        with pytest.raises(ValueError, match=told):
            load_tensors(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_tensors(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(ValueError, match="not PyTorch's"):
        load_tensors(path)


def test_old_files_with_objects_are_refused(tmp_path):
    path = tmp_path / "old.pt"
    torch.save({"state_dict": {"a": torch.ones(1)}, "other": Runs()}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="no checkpoint of tensors"):
        load_tensors(path)


def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(tmp_path):
    path, changed = tmp_path / "a.pt", tmp_path / "b.pt"
    torch.save({"a": torch.arange(100.0)}, path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:40] if name.endswith("/data/0") else content)
    with pytest.raises(ValueError, match="beyond its numbers"):
        load_tensors(changed)
