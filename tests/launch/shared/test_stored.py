"""What lies in a result's directory: one command at a time measures into it."""

import pytest

from launch.shared import stored
from tfpg.errors import UserError


def test_a_second_command_into_one_directory_is_refused_and_another_directory_is_free(tmp_path):
    first, second = tmp_path / "a" / "first", tmp_path / "second"
    with stored.held([first]):
        with pytest.raises(UserError, match=r"^another process \(pid \d+ on .*\) measures into .*/first\.$"), stored.held([second, first]):
            pass
        with stored.held([second]):
            pass
    with stored.held([first, second, first]):
        pass
