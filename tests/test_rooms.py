"""The house's one law: arrows run pipelines -> {features, forecasting, reports}, reports/forecasting -> features."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "features": set(),
    "forecasting": {"features"},
    "reports": {"features"},
    "data": {"features", "forecasting"},  # the prior is built from lessons
    "pipelines": {"features", "forecasting", "reports", "data"},
}


def modules(room: str) -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / room).rglob("*.py"))
        if path.name != "__init__.py" and not path.stem.startswith("_")
    ]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_arrows_never_run_back(room: str):
    for path in sorted((ROOT / room).rglob("*.py")):
        foreign = imported(path) & (MAY_IMPORT.keys() - MAY_IMPORT[room] - {room})
        assert not foreign, f"{path.relative_to(ROOT)} imports {foreign}"


@pytest.mark.parametrize("room", ["features", "forecasting", "reports"])
def test_a_pure_room_imports_without_dagster_and_touches_no_file_or_network(room: str):
    forbidden = {"dagster", "duckdb", "httpx", "requests", "socket", "urllib"}
    for path in sorted((ROOT / room).rglob("*.py")):
        assert not imported(path) & forbidden, f"{path.relative_to(ROOT)} imports {imported(path) & forbidden}"
    code = (
        "import sys; sys.modules['dagster'] = None\n"  # importing it now raises
        f"for name in {modules(room)!r}: __import__(name)\n"
        "assert not [name for name in sys.modules if name.startswith('dagster') and sys.modules[name]]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
