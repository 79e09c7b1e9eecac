"""How the tests themselves are spread over processes."""

import os

import pytest


def test_tests_of_a_file_stay_in_one_process(request):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("the tests run in one process")
    assert request.node.nodeid.endswith(f"@{request.node.path}"), (
        "pytest-xdist does not see the groups, so that what a file's tests share is made in each "
        "process: the versions of pytest and pytest-xdist do not fit"
    )
