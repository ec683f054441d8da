import gzip
import json

import pytest

from fitloop.body.documents import bare_stem, find_document, is_document, read_document

CONTENT = {"name": "Zoë", "numbers": [1, 2.5]}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_every_encoding_is_read_packed_or_not(tmp_path, encoding, packed):
    data = json.dumps(CONTENT, ensure_ascii=False).encode(encoding)
    (tmp_path / "a.json").write_bytes(gzip.compress(data, mtime=0) if packed else data)
    assert read_document(tmp_path / "a.json") == CONTENT


def test_one_record_a_line_gives_a_list_with_none_for_a_broken_one(tmp_path):
    path = tmp_path / "a.ndjson"
    path.write_text('{"a": 1}\n\n{"a": \n{"a": 3}\n')
    assert read_document(path) == [{"a": 1}, None, {"a": 3}]
    path.write_text('{"a": 1}\n')
    assert read_document(path) == {"a": 1}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not valid JSON"),
        (b'{"a": [1, 2', "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": "\xff"}', "no UTF-8 text .* byte 7"),
        (gzip.compress(b"{}", mtime=0)[:-6], "incomplete gzip"),
    ],
)
def test_a_broken_document_says_what_is_wrong(tmp_path, data, words):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ValueError, match=rf"a\.json .*{words}"):
        read_document(tmp_path / "a.json")


def test_a_missing_document_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_document(tmp_path / "a.json")
    with pytest.raises(ValueError, match="cannot be opened: Is a directory"):
        read_document(tmp_path)


def test_names_are_known_with_and_without_gz(tmp_path):
    assert all(map(is_document, (tmp_path / "a.JSON", tmp_path / "a.ndjson.gz", tmp_path / "a.jsonl")))
    assert not is_document(tmp_path / "a.gz")
    assert bare_stem(tmp_path / "a.jpg.json.gz") == "a.jpg"
    (tmp_path / "a.json.gz").touch()
    assert find_document(tmp_path / "a.json") == tmp_path / "a.json.gz"
    (tmp_path / "a.json").touch()
    assert find_document(tmp_path / "a.json") == tmp_path / "a.json"
