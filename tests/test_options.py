import pytest

import soupxr as sx
from soupxr.options import get_option


def test_options_hold_within_a_block_only():
    before = get_option("device")
    with sx.set_options(device="cpu", precision="bfloat16"):
        assert get_option("device") == "cpu"
        assert get_option("precision") == "bfloat16"
    assert get_option("device") == before
    assert get_option("precision") == "float32"


def test_options_hold_for_the_session_without_a_block():
    before = sx.set_options(device="cpu")
    assert get_option("device") == "cpu"
    before.__exit__()
    assert get_option("device") == "auto"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"colour": 1}, "options among"),
        ({"precision": "float8"}, "'float32' or 'bfloat16'"),
        ({"progress": "yes"}, "True or False"),
        ({"data_root": 3}, "a path or None"),
    ],
)
def test_bad_options_are_refused_and_change_nothing(options, told):
    with pytest.raises(sx.ArgumentError, match=told):
        sx.set_options(device="cpu", **options)
    assert get_option("device") == "auto"
