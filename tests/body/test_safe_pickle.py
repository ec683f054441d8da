import copyreg
import pickle
import sys
import types

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from fitloop.body.safe_pickle import load_arrays


def _write(tmp_path, content, protocol=2):
    path = tmp_path / "file.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.fixture
def chumpy(monkeypatch):
    """A module of chumpy's name whose objects pickle as chumpy's do."""
    package, leaves, selections = (types.ModuleType(n) for n in ("chumpy", "chumpy.ch", "chumpy.reordering"))
    leaves.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    selections.Select = type("Select", (), {"__module__": "chumpy.reordering"})
    for module in (package, leaves, selections):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return leaves.Ch, selections.Select


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
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


def test_sparse_matrices_come_back_dense(tmp_path):
    dense = np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]])
    found = load_arrays(_write(tmp_path, {"J_regressor": csc_matrix(dense)}))
    np.testing.assert_array_equal(found["J_regressor"], dense)


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
        _Hostile(copyreg._reconstructor, list, object, None),
    ):
        with pytest.raises(ValueError, match="no usable file of arrays"):
            load_arrays(_write(tmp_path, {"a": np.ones(3), "b": payload}))
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
