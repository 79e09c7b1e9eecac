"""Files that others wrote: whatever is wrong with one is an OSError or a ValueError."""

from __future__ import annotations

import contextlib
import json
import os
import time

import pytest

from ctwml_bids import reading

DEEP = {
    "lists without an end": "[" * 100_000,
    "lists": "[" * 2_000 + "]" * 2_000,
    "objects": '{"a":' * 2_000 + "1" + "}" * 2_000,
    # Python's reader takes these; whoever walks through them would fail.
    "lists that json takes": "[" * 200 + "]" * 200,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_json_that_is_nested_deeply_is_no_recursion_error(text):
    with pytest.raises(ValueError, match="in each other"):
        reading.parse_json(text)


def test_json_as_sidecars_have_it_is_read_as_json_reads_it(tmp_path):
    content = {"a": [1, 2.5, None, {"b": [[[True]]]}], "c": "\u00e9"}
    path = tmp_path / "a.json"
    path.write_text("\ufeff" + json.dumps(content), encoding="utf-8")
    assert reading.read_json(path) == content


def test_wide_json_is_not_deep():
    assert len(reading.parse_json(json.dumps([[n] for n in range(5_000)]))) == 5_000


def test_a_number_of_thousands_of_digits_is_a_value_error():
    with pytest.raises(ValueError, match="digit"):
        reading.parse_json("9" * 6_000)
    with pytest.raises(ValueError, match="digit"):
        reading.parse_toml(f"a = {'9' * 6_000}")


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5_000, "a = " + "[" * 99 + "]" * 99, ".".join("a" * 99) + " = 1"]
)
def test_toml_that_is_nested_deeply_is_no_recursion_error(text):
    with pytest.raises(ValueError, match="in each other"):
        reading.parse_toml(text)


def test_a_file_larger_than_any_of_its_kind_is_not_read_whole(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as opened:
        opened.truncate(reading.LARGEST + 1)
    with pytest.raises(ValueError, match="more than 64 MB"):
        reading.read_json(path)


def test_a_pipe_and_a_device_in_a_folder_are_no_files(tmp_path):
    pipe, device = tmp_path / "pipe.json", tmp_path / "device.json"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        with pytest.raises(ValueError, match="a device or a pipe"):
            reading.read_json(path)


def test_a_pipe_that_a_shell_made_is_read():
    there, here = os.pipe()
    os.write(here, b'{"a": 1}')
    os.close(here)
    assert reading.read_json(reading.Path(f"/dev/fd/{there}")) == {"a": 1}
    os.close(there)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("sub-01/ct/sub-01_ct.nii.gz", True),
        ("é" * 100, True),
        ("", False),
        ("/etc/passwd", False),
        ("../x", False),
        ("a/../../x", False),
        ("a" * 300, False),
        ("a/" * 3_000, False),
        ("a\0b", False),
        ("\ud800", False),
        (3, False),
        (None, False),
    ],
)
def test_a_name_stays_below_its_folder_and_can_be_looked_up(tmp_path, name, is_one):
    assert reading.is_name(name) is is_one
    if is_one:
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 250_000) + " = 1",
        "x = {" + " . ".join(["a"] * 100_000) + " = 1}",
        ".".join(['"a b"'] * 80_000) + " = 1",
        "[" + ".".join(["a"] * 250_000) + "]",
        "a" * 1_000_000,
        '"' * 500_000,
        'a = "' + "." * 1_000_000,
        'a = "' + "\\n" * 400_000 + '"',
        "\n".join(f"k{n} = {n}.5" for n in range(50_000)),
        f"a = [{', '.join(['1.5'] * 150_000)}]",
    ],
    ids=range(10),
)
def test_toml_of_a_megabyte_is_read_or_refused_in_seconds(text):
    begun = time.process_time()
    with contextlib.suppress(ValueError):
        reading.parse_toml(text)
    assert time.process_time() - begun < 10
