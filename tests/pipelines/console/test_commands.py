"""The console command: which program runs, and how it ends."""

import runpy
import sys
from importlib.util import find_spec

import pytest

from fitloop.pipelines import cli


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Program:
    """Stands for the module of a command."""

    main = staticmethod(interrupt)


@pytest.mark.parametrize("imported", [interrupt, lambda _: Program])
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_ctrl_c_ends_every_command_with_a_sentence_while_it_loads_and_later(monkeypatch, capsys, command, imported):
    monkeypatch.setattr(cli, "import_module", imported)
    assert cli.main([command]) == 130
    assert capsys.readouterr().err == "fitloop: Interrupted.\n"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_ctrl_c_ends_every_program_that_is_run_by_its_file_so_too(monkeypatch, capsys, command):
    monkeypatch.setattr(cli, "import_module", interrupt)
    monkeypatch.setattr(sys, "argv", ["program.py", "--help"])
    program = str(find_spec(cli.COMMANDS[command][0]).origin)
    before = set(sys.modules)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(program, run_name="__main__")
    assert ended.value.code == 130 and capsys.readouterr().err == "fitloop: Interrupted.\n"
    # What takes its time to load is left to the command, which waits for Ctrl-C by then.
    assert set(sys.modules) == before


def test_a_folder_that_cannot_be_made_is_a_sentence_without_the_number_of_an_error(capsys):
    assert cli.main(["samples", "--out", "/dev/null/x"]) == 3
    told = capsys.readouterr().err
    assert "cannot be read or written: /dev/null" in told and "--out" in told and "Errno" not in told


def test_a_command_that_is_not_there_is_told_with_those_that_are(capsys):
    assert cli.main(["fly"]) == 2
    assert "Unknown command 'fly'" in capsys.readouterr().err
