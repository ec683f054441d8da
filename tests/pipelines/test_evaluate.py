import csv
import json

import numpy as np
import pytest
from toy_bench import make_truth, write_results

from fitloop.body import load_body
from fitloop.pipelines.cli import main


@pytest.fixture
def bench(tmp_path):
    body = load_body("open")
    arrays = make_truth(6, body=body)
    np.savez(tmp_path / "truth.npz", **arrays)
    write_results(tmp_path / "out", arrays, body=body)
    return tmp_path


def evaluate(folder, *more, results="out"):
    options = ["--protocol", "open-bench", "--truth", str(folder / "truth.npz"), "--results", str(folder / results)]
    return main(["evaluate", *options, "--json", str(folder / "scores.json"), *more])


def test_a_run_is_scored_into_json_and_csv(bench, capsys):
    assert evaluate(bench, "--weights", "trial 1") == 0
    card = json.loads((bench / "scores.json").read_text())
    assert [entry["stage"] for entry in card["entries"]] == ["regressed", "fitted", "landmarks"]
    assert card["protocol"]["name"] == "open-bench" and card["people"] == 6
    made_with = card["made_with"]
    assert made_with["weights"] == "trial 1" and made_with["commit"] and made_with["hardware"] and made_with["date"]
    assert "torch" in made_with["versions"]
    regressed, fitted = card["entries"][0]["metrics"], card["entries"][1]["metrics"]
    assert fitted["mpjpe"]["mean"] < regressed["mpjpe"]["mean"]
    assert fitted["pve"]["low"] < fitted["pve"]["mean"] < fitted["pve"]["high"]
    assert set(card["entries"][1]["grades"]) == {"easy", "loose clothes", "occluded", "truncated", "acrobatic"}
    assert card["entries"][1]["body"] == "open-1"
    with (bench / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18 and rows[0]["found"] == "yes"
    mean = np.mean([float(row["mpjpe [mm]"]) for row in rows if row["entry"].startswith("fitted")])
    assert mean == pytest.approx(fitted["mpjpe"]["mean"], rel=1e-4)
    assert "| fitted (SMPLify) | 6 |" in capsys.readouterr().out


def test_without_a_file_to_write_scores_are_printed_alone(bench, capsys):
    before = sorted(bench.rglob("*"))
    given = ["--truth", str(bench / "truth.npz"), "--results", str(bench / "out")]
    assert main(["evaluate", "--protocol", "open-bench", *given]) == 0
    assert "| fitted (SMPLify) | 6 |" in capsys.readouterr().out
    assert sorted(bench.rglob("*")) == before


def test_one_stage_can_be_chosen(bench):
    assert evaluate(bench, "--stage", "fitted", "--label", "ours") == 0
    card = json.loads((bench / "scores.json").read_text())
    assert [entry["label"] for entry in card["entries"]] == ["ours"]
    assert evaluate(bench, "--stage", "refined") == 2


def test_another_run_is_scored_beside_the_first(bench, capsys):
    assert evaluate(bench, "--others", f"again={bench / 'out'}") == 0
    card = json.loads((bench / "scores.json").read_text())
    labels = [entry["label"] for entry in card["entries"]]
    assert labels[1] == "fitted (SMPLify)" and labels[4] == "again, fitted (SMPLify)" and len(labels) == 6
    assert evaluate(bench, "--others", "again") == 2
    assert "expects LABEL=PATH" in capsys.readouterr().err


def test_missing_people_are_counted_when_they_may_be_skipped(bench, capsys):
    next((bench / "out").rglob("0003*.npz")).unlink()
    assert evaluate(bench) == 2
    assert "1 of 6 people have no usable result" in capsys.readouterr().err
    assert evaluate(bench, "--missing", "skip") == 0
    assert "1 people have no result" in capsys.readouterr().out


def test_another_systems_joints_are_scored_by_the_same_protocol(bench):
    with np.load(bench / "truth.npz") as file:
        shape = (len(file["photo"]), 17, 3)
    points = np.random.default_rng(0).normal(0, 0.3, shape)
    np.savez(bench / "theirs.npz", joints=points, convention=np.array("coco17"))
    assert evaluate(bench, "--trust", "--label", "theirs", results="theirs.npz") == 0
    card = json.loads((bench / "scores.json").read_text())
    assert card["entries"][0]["label"] == "theirs" and card["entries"][0]["metrics"]["mpjpe"]["mean"] > 200


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--protocol", "open"], "Unknown protocol 'open'"),
        (["--truth", "nowhere.npz"], "no file nowhere.npz"),
        (["--results", "nowhere"], "no results at nowhere"),
        (["--body", "nowhere.pkl"], "No body file at nowhere.pkl"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(bench, capsys, options, told):
    assert evaluate(bench, *options) == 2
    assert told in capsys.readouterr().err
