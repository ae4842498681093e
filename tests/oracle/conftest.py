"""The `oracle` fixture: one MXNet 1.9.1 process for the whole test session."""
import pytest

from .client import Oracle, interpreter


@pytest.fixture(scope="session")
def oracle():
    """An Oracle (see client.py); its tests are skipped where the interpreter is absent."""
    python = interpreter()
    if not python.exists():
        pytest.skip(f"no MXNet 1.9.1 at {python}: run tests/oracle/make_env.sh, or point MXLITE_ORACLE at its Python")
    with Oracle(python) as oracle:
        yield oracle


def pytest_collection_modifyitems(items):
    for item in items:
        if "oracle" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.oracle)
