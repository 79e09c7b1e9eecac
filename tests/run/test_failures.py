from __future__ import annotations

import traceback

import pytest

from ctwml_bids import errors
from ctwml_bids.run.failures import failure_of, failure_reason


def text_of(error: BaseException) -> str:
    try:
        raise error
    except BaseException as caught:
        return "".join(traceback.format_exception(caught))


def test_a_typed_error_is_found_below_the_wrapping_of_others():
    try:
        try:
            raise errors.BadDataError("x.nii.gz: all voxels are 0; export it again")
        except errors.BadDataError as inner:
            raise RuntimeError("node failed") from inner
    except RuntimeError:
        text = traceback.format_exc()
    assert failure_reason(text) == ("BadDataError", "x.nii.gz: all voxels are 0; export it again")


@pytest.mark.parametrize(
    "kind", [errors.InvalidInputError, errors.NoInputError, errors.CannotCreateError]
)
def test_each_typed_error_keeps_its_exit_code(kind):
    failure = failure_of(text_of(kind("no: it is not")))
    assert (failure.error, failure.exit_code) == (kind.__name__, kind.exit_code)


def test_a_message_over_several_lines_becomes_one():
    assert failure_reason(text_of(errors.BadDataError("one\ntwo\nthree")))[1] == "one two three"


def test_a_message_that_names_another_error_does_not_mislead():
    text = text_of(errors.BadDataError("a.json: the sidecar is not JSON (ValueError: line 1)"))
    assert failure_reason(text) == (
        "BadDataError",
        "a.json: the sidecar is not JSON (ValueError: line 1)",
    )


def test_a_full_disk_and_no_memory_say_what_to_do():
    assert failure_of(text_of(OSError(28, "No space left on device"))).exit_code == 74
    memory = failure_of(text_of(MemoryError()))
    assert memory.exit_code == 75
    assert "--nprocs" in memory.message


@pytest.mark.parametrize("text", ["", "something odd\n", "Traceback (most recent call last):\n"])
def test_any_text_gives_a_reason(text):
    name, message = failure_reason(text)
    assert name
    assert message
