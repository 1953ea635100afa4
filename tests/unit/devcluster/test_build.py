"""What a build is given."""

from pathlib import Path

from modelfetch.devcluster.build import Go, Program, build_program

GO = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
mkdir -p "$(dirname "$2")" && cat go.mod go.sum > "$2"
"""


def test_one_program_may_need_more_sums(tmp_path: Path) -> None:
    """Its lines stand behind those of go.sum, for this build alone: the module stays as it is."""
    module, folder, go = tmp_path / "module", tmp_path / "work", tmp_path / "go"
    for path in (module, folder):
        path.mkdir()
    (module / "go.mod").write_text("module m\n")
    (module / "go.sum").write_text("a v1 h1:a=\n")
    (module / "more.sum").write_text("b v1 h1:b=\n")
    go.write_text(GO)
    go.chmod(0o755)
    program = Program("kubelet", module, "m", "", "try again", module / "more.sum")
    built = build_program(program, Go(go, {"PATH": "/usr/bin:/bin"}), folder, lambda _: None)

    assert "module m\na v1 h1:a=\nb v1 h1:b=\n" == built.read_text()
    assert "a v1 h1:a=\n" == (module / "go.sum").read_text()
