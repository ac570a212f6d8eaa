"""The reader and the writer of the events file."""

import json
import pathlib

import pytest
from highwater_pytest.reading import UnknownVersion, parse, read, unescape
from highwater_pytest.writer import MOST_CHARACTERS, escape

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.events")), ids=lambda path: path.stem)
def test_golden_files_are_read_as_they_were_meant(path):
    records, problems = read(path.read_bytes())
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert records == expected["records"]
    assert [number for number, _ in problems] == expected["malformed_lines"]


@pytest.mark.parametrize("text", ["", "plain", "tab\t", "line\nline\r", "back\\slash\\t", "日本語", "\udc80", "x" * MOST_CHARACTERS])
def test_text_comes_back_as_it_was(text):
    assert unescape(escape(text)) == text


def test_long_text_is_cut_and_stays_apart_from_others():
    cut = [escape("x" * 5000 + end) for end in "ab"]
    assert cut[0] != cut[1] and all(len(text) <= MOST_CHARACTERS for text in cut)


def test_another_version_is_refused():
    with pytest.raises(UnknownVersion):
        parse("H\t2\t{}")
