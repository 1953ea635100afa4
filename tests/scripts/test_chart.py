"""The table of values is what values.yaml says."""

from pathlib import Path

from scripts.chart import BEGIN, END, Value, copy_crds, readme, table, values

TEXT = """\
# About the image.
image:
  # Its repository,
  # without a tag.
  repository: example.com/x
  tag: ""
# Labels.
labels: {}
"""


def test_values_are_read_with_their_comments() -> None:
    """A value is a leaf; its meaning is the comment right above it, an empty mapping is a value, too."""
    expected = [
        Value("image.repository", '"example.com/x"', "Its repository, without a tag."),
        Value("image.tag", '""', ""),
        Value("labels", "{}", "Labels."),
    ]

    assert expected == values(TEXT)


def test_the_table_replaces_the_one_before() -> None:
    """What people wrote around the marks stays."""
    rows = [Value("a", "1", "One.")]
    once = readme(f"before\n{BEGIN}\nold\n{END}\nafter\n", rows)

    assert f"before\n{BEGIN}\n{table(rows)}\n{END}\nafter\n" == once == readme(once, rows)


def test_copies_follow_the_crds(tmp_path: Path) -> None:
    """A definition that is gone is gone from the chart; a new one is in it, and in the plain manifests."""
    copies = tmp_path / "charts" / "modelfetch" / "files" / "crds"
    for folder in (copies, tmp_path / "crds", tmp_path / "deploy"):
        folder.mkdir(parents=True)
    (copies / "old.yaml").write_text("kind: Old\n")
    (tmp_path / "crds" / "a.yaml").write_text("kind: A\n")
    (tmp_path / "crds" / "b.yaml").write_text("kind: B\n")
    copy_crds(tmp_path)

    assert {"a.yaml": "kind: A\n", "b.yaml": "kind: B\n"} == {path.name: path.read_text() for path in copies.iterdir()}
    assert "kind: A\n---\nkind: B\n" == (tmp_path / "deploy" / "crds.yaml").read_text()
