import pytest

from fitloop.data import converters


@pytest.mark.parametrize(
    ("convert", "words"),
    [
        (converters.convert_lsp, "joints.mat is missing: LSP"),
        (converters.convert_lspet, "joints.mat is missing: LSP-extended"),
        (converters.convert_mpii, "is missing: MPII"),
        (converters.convert_coco, "is missing: COCO"),
        (converters.convert_3dhp_train, "is missing: 3DHP"),
        (converters.convert_3dhp_test, "is missing: 3DHP"),
        (converters.convert_3dpw, "is missing: 3DPW"),
    ],
)
def test_an_empty_folder_says_what_is_missing(tmp_path, convert, words):
    with pytest.raises(FileNotFoundError, match=words):
        convert(tmp_path)
