import importlib

import pytest

import nanopilot.core


@pytest.mark.parametrize("name", nanopilot.core.__all__)
def test_every_public_name_of_the_core_is_there(name: str) -> None:
    assert getattr(nanopilot.core, name) is not None
    assert name in dir(nanopilot.core)


def test_what_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Probe'"):
        importlib.import_module("nanopilot.core").Probe  # noqa: B018
