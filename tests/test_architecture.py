"""The dependency rule holds: its contracts are in pyproject.toml, under [tool.importlinter]."""

import sys
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration

# Not the function of the same name in importlinter.cli: that one reconfigures logging for the whole
# process, which would disable the loggers that other tests listen to.
from importlinter.application.use_cases import lint_imports

PYPROJECT = str(Path(__file__).parent.parent / "pyproject.toml")
CONTRACTS = [contract["id"] for contract in read_configuration(PYPROJECT)["contracts_options"]]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One directory for all contracts, so that the imports are collected only once."""
    return str(tmp_path_factory.mktemp("imports"))


@pytest.mark.parametrize("contract", CONTRACTS)
def test_imports_keep_the_contract(
    contract: str, cache_dir: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = lint_imports(PYPROJECT, (contract,), cache_dir, no_logo=True)

    assert kept, capsys.readouterr().out


@pytest.mark.parametrize("package", ["authapp.domain", "authapp.services"])
def test_rules_and_use_cases_need_only_the_standard_library(package: str, cache_dir: str) -> None:
    graph = grimp.build_graph("authapp", include_external_packages=True, cache_dir=cache_dir)

    modules = {package} | graph.find_descendants(package)
    imported = set().union(*map(graph.find_modules_directly_imported_by, modules))

    assert {name.partition(".")[0] for name in imported} <= {"authapp"} | sys.stdlib_module_names
