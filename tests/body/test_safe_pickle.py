import copyreg
import pickle
import shlex
import subprocess
import sys
import types

import numpy as np
import pytest
import scipy.sparse
import torch

from fitloop.body.safe_pickle import CONVERT, CONVERT_NPZ, CONVERT_TORCH, load_arrays, load_npz


def _write(tmp_path, content, protocol=2):
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.fixture
def chumpy(monkeypatch):
    """A module of chumpy's name whose objects pickle as chumpy's do."""
    package, leaves, selections = (types.ModuleType(n) for n in ("chumpy", "chumpy.ch", "chumpy.reordering"))
    leaves.Ch = type("Ch", (), {"__module__": "chumpy.ch"})  # pyright: ignore[reportAttributeAccessIssue]
    selections.Select = type("Select", (), {"__module__": "chumpy.reordering"})  # pyright: ignore[reportAttributeAccessIssue]
    for module in (package, leaves, selections):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return leaves.Ch, selections.Select


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint32", "int64", ">f8", "bool"])
def test_arrays_come_back_as_they_were(tmp_path, protocol, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    found = load_arrays(_write(tmp_path, {"c": array, "fortran": np.asfortranarray(array)}, protocol))
    np.testing.assert_array_equal(found["c"], array)
    np.testing.assert_array_equal(found["fortran"], array)
    assert found["c"].dtype == array.dtype.newbyteorder("=")


def test_numbers_and_texts_come_back_and_settings_are_skipped(tmp_path):
    content = {"n": 3, "scale": np.float64(0.5), "style": "lbs", "list": [1, 2], "nothing": None, "more": {"a": 1}}
    found = load_arrays(_write(tmp_path, content))
    assert (int(found["n"]), float(found["scale"]), str(found["style"])) == (3, 0.5, "lbs")
    assert found["list"].tolist() == [1, 2]
    assert set(found) == {"n", "scale", "style", "list"}


@pytest.mark.parametrize("protocol", [0, 2])
def test_chumpy_objects_give_their_values(tmp_path, chumpy, protocol):
    leaf, selection = chumpy[0](), chumpy[1]()
    leaf.__dict__.update(x=np.arange(6.0).reshape(2, 3), dirty_vars={"x"})
    selection.__dict__.update(a=leaf, idxs=np.array([5, 0]), preferred_shape=(2, 1))
    found = load_arrays(_write(tmp_path, {"leaf": leaf, "selection": selection}, protocol))
    np.testing.assert_array_equal(found["leaf"], leaf.x)
    np.testing.assert_array_equal(found["selection"], [[5.0], [0.0]])


DENSE = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]])
SPARSE = [f"{layout}_{kind}" for layout in ("csc", "csr", "coo") for kind in ("matrix", "array")]


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_matrices_come_back_dense(tmp_path, name, protocol):
    found = load_arrays(_write(tmp_path, {"J_regressor": getattr(scipy.sparse, name)(DENSE)}, protocol))
    np.testing.assert_array_equal(found["J_regressor"], DENSE)


@pytest.mark.parametrize("name", SPARSE)
def test_a_sparse_matrix_that_numpy_pickled_into_an_archive_comes_back_dense(tmp_path, name):
    np.savez(tmp_path / "a.npz", J=getattr(scipy.sparse, name)(DENSE), v=np.ones((2, 3)), style="lbs")
    found = load_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["J"], DENSE)
    assert found["v"].shape == (2, 3) and str(found["style"]) == "lbs"


def test_entries_outside_of_a_sparse_matrix_are_refused(tmp_path):
    matrix = scipy.sparse.coo_matrix(DENSE)
    matrix.coords = (np.array([0, 1, -7]), matrix.coords[1])
    with pytest.raises(ValueError, match="entries outside of it"):
        load_arrays(_write(tmp_path, {"J": matrix}))


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_tensors_come_back_as_arrays(tmp_path, protocol, dtype):
    whole = torch.arange(24).to(dtype).view(4, 6)
    found = load_arrays(_write(tmp_path, {"whole": whole, "view": whole[1:, ::2], "turned": whole.T}, protocol))
    np.testing.assert_array_equal(found["whole"], whole.numpy())
    np.testing.assert_array_equal(found["view"], whole[1:, ::2].numpy())
    np.testing.assert_array_equal(found["turned"], whole.T.numpy())


def test_what_pytorch_saved_is_read_by_its_own_allow_list(tmp_path):
    path = tmp_path / "body.pkl"
    torch.save({"v": torch.nn.Parameter(torch.ones(2)), "f": np.arange(3), "style": "lbs"}, path)
    found = load_arrays(path)
    assert (found["v"].tolist(), found["f"].tolist(), str(found["style"])) == ([1.0, 1.0], [0, 1, 2], "lbs")
    torch.save({"v": _Hostile(open, str(tmp_path / "ran"), "w")}, path)
    with pytest.raises(ValueError, match="more than tensors and arrays.*If you trust the file") as error:
        load_arrays(path)
    assert str(error.value).endswith(CONVERT_TORCH) and not (tmp_path / "ran").exists()


def test_parameters_matrices_and_names_of_bytes_are_read(tmp_path):
    content = {b"p": torch.nn.Parameter(torch.ones(2)), b"m": np.array([[1.0, 2.0]]).view(np.matrix), b"name": b"lbs"}
    found = load_arrays(_write(tmp_path, content))
    assert (found["p"].tolist(), found["m"].tolist(), set(found)) == ([1.0, 1.0], [[1.0, 2.0]], {"p", "m", "name"})


def test_a_tensor_that_reaches_past_its_storage_is_refused(tmp_path):
    class Long:
        def __reduce__(self):
            function, args = torch.ones(3).__reduce_ex__(2)
            return function, (*args[:2], (1000,), *args[3:])

    with pytest.raises(ValueError, match="no usable file of arrays"):
        load_arrays(_write(tmp_path, {"a": Long()}))


@pytest.mark.parametrize("suffix", ["pkl", "npz"])
def test_what_is_refused_but_whole_can_be_converted_by_the_line_that_the_message_gives(tmp_path, monkeypatch, suffix):
    content, old = {"J": scipy.sparse.lil_matrix(DENSE), "v": np.ones(3)}, tmp_path / f"old.{suffix}"
    if suffix == "pkl":
        old.write_bytes(pickle.dumps(content))
    else:
        np.savez(old, **content)
    read, line = (load_arrays, CONVERT) if suffix == "pkl" else (load_npz, CONVERT_NPZ)
    with pytest.raises(ValueError, match=r"asks for scipy.sparse._lil.lil_matrix.*If you trust the file") as error:
        read(old)
    assert str(error.value).endswith(line) and "again" not in str(error.value)
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, *shlex.split(line)[1:]], check=True)
    np.testing.assert_array_equal(load_npz(tmp_path / "new.npz")["J"], DENSE)


class _Hostile:
    def __init__(self, call, *args):
        self.call = (call, args)

    def __reduce__(self):
        return self.call


def test_a_hostile_file_runs_nothing(tmp_path):
    trace = tmp_path / "ran"
    for payload in (
        _Hostile(eval, f"open({str(trace)!r}, 'w')"),
        _Hostile(type(tmp_path).touch, tmp_path / "ran"),
        _Hostile(getattr, "text", "encode"),
        _Hostile(copyreg._reconstructor, list, object, None),  # pyright: ignore[reportAttributeAccessIssue]
        _Hostile(torch.storage._load_from_bytes, pickle.dumps(_Hostile(open, str(trace), "w"))),
        _Hostile(torch.load, str(trace)),
    ):
        for protocol in (2, 5):
            with pytest.raises(ValueError, match="no usable file of"):
                load_arrays(_write(tmp_path, {"a": np.ones(3), "b": payload}, protocol))
        np.savez(tmp_path / "hostile.npz", b=np.array(payload, dtype=object))
        with pytest.raises(ValueError, match="no usable file of"):
            load_npz(tmp_path / "hostile.npz")
    assert not trace.exists()


def test_hostile_bytes_inside_a_tensor_run_nothing(tmp_path):
    trace = tmp_path / "ran"

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (pickle.dumps(_Hostile(open, str(trace), "w")),)

    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, (3,), (1,), False, {})  # pyright: ignore[reportAttributeAccessIssue]

    with pytest.raises(ValueError, match="no usable file of arrays"):
        load_arrays(_write(tmp_path, {"a": Tensor()}))
    assert not trace.exists()


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path):
    raw = pickle.dumps({"a": np.zeros(3, np.int8)}, protocol=2).replace(b"K\x03\x85", b"K\xff\x85")
    path = tmp_path / "long.pkl"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="does not match"):
        load_arrays(path)


def test_object_arrays_are_refused(tmp_path):
    with pytest.raises(ValueError, match="instead of numbers"):
        load_arrays(_write(tmp_path, {"a": np.array([{}, []], dtype=object)}))


@pytest.mark.parametrize("cut", [0, 1, 10, 60, 120])
def test_a_truncated_file_is_refused(tmp_path, cut):
    path = _write(tmp_path, {"a": np.arange(100.0)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="no usable file of arrays"):
        load_arrays(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "text.pkl"
    for content in (b"hello\n", b"\x00" * 50, b"PK\x03\x04 zip", pickle.dumps([1, 2])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="text.pkl is no usable file of arrays"):
            load_arrays(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.pkl"):
        load_arrays(tmp_path / "absent.pkl")
