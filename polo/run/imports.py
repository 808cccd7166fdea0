"""Which code a module's behaviour depends on: the module and what it imports of its own distribution, as hashes.

Knows import statements, read from source without running anything; knows no component and no stage. Left out are the
standard library and what is installed of other distributions (their versions say enough). What lies in a source tree
that no distribution has installed, such as a file beside a plugin, is taken in: it may change without a version.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from pathlib import Path

#: names of folders that distributions are installed into; any other (``pip install --target``) shows by its records
_INSTALLED = ("site-packages", "dist-packages")
#: polo's own package: what a component imports from it belongs to the component's behaviour
_POLO = __name__.partition(".")[0]


class Code:
    """Hashes of modules with all that they import.

    Args:
        watching: modules that look on and decide nothing; neither they nor what they import is taken in.

    Example:
        >>> prints = Code(watching=("polo.errors",)).of("polo.candidates")
        >>> "polo.randomness" in prints, "polo.errors" in prints, "numpy" in prints
        (True, False, False)
    """

    def __init__(self, watching: Collection[str] = ()) -> None:
        # the package's own file only says where public names are; each is followed to where it is
        self._watching = {*watching, _POLO}
        self._read: dict[str, _Source | None] = {}
        self._owned: dict[str, frozenset[str]] = {}
        self._outside: dict[str, bool] = {}

    def of(self, module: str, dist: str = "") -> dict[str, str]:
        """Name -> hash of ``module`` and of everything that it imports, directly or not.

        Args:
            module: dotted name of a module that can be imported.
            dist: the distribution whose packages belong to it.
        """
        own = {module.partition(".")[0], _POLO, *self._packages(dist)}
        found: dict[str, str] = {}
        todo = [module]
        while todo:
            name = todo.pop()
            if name in found or (name in self._watching and name != module) or not self._ours(name, own):
                continue
            source = self._source(name)
            if source is not None:
                found[name] = source.digest
                todo += self._imports(source, own)
        return found

    def _packages(self, dist: str) -> frozenset[str]:
        """Top-level names of an installed distribution."""
        if dist not in self._owned:
            try:
                files = importlib.metadata.files(dist) if dist else None
            except (importlib.metadata.PackageNotFoundError, ValueError):
                files = None
            tops = {file.parts[0].removesuffix(".py") for file in files or () if file.suffix == ".py"}
            self._owned[dist] = frozenset(tops)
        return self._owned[dist]

    def _ours(self, name: str, own: Collection[str]) -> bool:
        top = name.partition(".")[0]
        return top in own or self._loose(top)

    def _loose(self, top: str) -> bool:
        """Whether a top-level module lies in no place that distributions are installed into."""
        if top not in self._outside:
            place = None if top in sys.stdlib_module_names else _place(top)
            self._outside[top] = place is not None and not _installed(place)
        return self._outside[top]

    def _source(self, name: str) -> _Source | None:
        if name not in self._read:
            place = _place(name)
            self._read[name] = None if place is None else _Source(name, place)
        return self._read[name]

    def _imports(self, source: _Source, own: Collection[str]) -> Iterator[str]:
        yield from _parents(source.name)
        for module, names in source.imports:
            if not self._ours(module, own):
                continue
            yield from _parents(module)
            yield module
            for name in names:
                yield self._defined(module, name)

    def _defined(self, module: str, name: str) -> str:
        """The module that ``from module import name`` leads to: a submodule, or where a package has the name from."""
        if _place(f"{module}.{name}") is not None:
            return f"{module}.{name}"
        package = self._source(module) if module.partition(".")[0] == _POLO else None
        return module if package is None else package.origins.get(name, module)


class _Source:
    """One file of code."""

    def __init__(self, name: str, place: Path) -> None:
        self.name, self._bytes = name, place.read_bytes()
        self._package = name if place.stem == "__init__" else name.rpartition(".")[0]
        self._text = place.suffix == ".py"

    @cached_property
    def _tree(self) -> ast.Module:
        try:
            return ast.parse(self._bytes) if self._text else ast.Module([], [])
        except (SyntaxError, ValueError):  # a module that nothing has imported so far
            self._text = False
            return ast.Module([], [])

    @cached_property
    def digest(self) -> str:
        """Of what the code says: comments and spaces change nothing."""
        said = ast.dump(self._tree).encode()
        said = said if self._text else self._bytes
        return hashlib.sha256(said).hexdigest()[:16]

    @cached_property
    def imports(self) -> list[tuple[str, list[str]]]:
        """Modules and names that are imported anywhere in the file, but for type checkers only."""
        return [found for node in _running(self._tree) for found in self._of(node)]

    @cached_property
    def origins(self) -> dict[str, str]:
        """Name -> the module that the file imports it from, for type checkers too."""
        return {
            name: module for node in ast.walk(self._tree) for module, names in self._of(node) for name in names if names
        }

    def _of(self, node: ast.AST) -> Iterator[tuple[str, list[str]]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield self._absolute(base), [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            named = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if named == "import_module" and isinstance(node.args[0].value, str):
                yield self._absolute(node.args[0].value), []

    def _absolute(self, name: str) -> str:
        try:
            return importlib.util.resolve_name(name, self._package) if name.startswith(".") else name
        except ImportError:
            return name.lstrip(".")


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for other in node.orelse:
                yield other
                yield from _running(other)
        else:
            yield node
            yield from _running(node)


def _parents(name: str) -> Iterable[str]:
    """Packages around a module: they run before it does."""
    names = name.split(".")
    return (".".join(names[:end]) for end in range(1, len(names)))


def _installed(place: Path) -> bool:
    """Whether the file of a top-level module lies where distributions are installed into."""
    root = place.parent.parent if place.stem == "__init__" else place.parent
    return any(folder in place.parts for folder in _INSTALLED) or any(root.glob("*.dist-info"))


def _place(name: str) -> Path | None:
    """The file of a module; ``None`` if there is none. Imports nothing but the packages around it."""
    found = sys.modules.get(name)
    try:
        spec = getattr(found, "__spec__", None) or importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    place = None if spec is None or not spec.has_location or spec.origin is None else Path(spec.origin)
    return place if place is not None and place.is_file() else None
