"""Opening plugins and recipes, whoever asks: the command line or a notebook. Knows trust and GPUs; imports no torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polo.errors import InputError, RecipeError
from polo.plugin.load import Plugins, load_plugins
from polo.plugin.record import PluginRecord
from polo.plugin.trust import Trust, run_folder_of
from polo.recipe.model import Resolved
from polo.words import did_you_mean


def open_recipe(
    recipe: str,
    overrides: Sequence[str] | None = None,
    profile: str = "auto",
    plugin: Iterable[Path] | None = None,
    no_plugin: Iterable[str] | None = None,
    *,
    say: Callable[[str], None],
    trust_plugins: bool = False,
    started: bool = False,
    builds: bool = True,
) -> tuple[Resolved, Plugins]:
    """A recipe ready for use, and the plugins it was validated with (the trusted ones of those that it names too).

    Says when a profile was taken because there is no GPU, and what plugins' authors should know.

    Args:
        recipe, overrides, profile, plugin, no_plugin, trust_plugins: as given on the command line.
        say: is told a line for the user.
        started: the user starts this recipe, so that what it names is executed, unless it is part of a run.
        builds: whether the caller builds scorers and the like, which may start programs.

    Raises:
        InputError: the recipe or a plugin file given with ``--plugin`` cannot be used, or code is not trusted.
    """
    from polo.recipe import load

    given, without = list(plugin or ()), list(no_plugin or ())
    trust = _trust(recipe, without, granted=trust_plugins, started=started, builds=builds)
    files, problems = trust.files(given)
    if problems:
        raise RecipeError(problems)
    plugins = load_plugins(files=[*given, *files], disable=without, known=[kept.file.stem for kept in trust.kept])
    for record in plugins.records:
        if record.local and record.status == "broken":
            raise InputError(f"plugin file failed to load: {record.error}", where=record.file, fix="mend it")
    path = find_recipe(recipe, plugins)
    resolved = load(path, overrides=overrides or (), profile=profile, plugins=plugins, gpu=has_gpu(), trust=trust)
    if resolved.profile is not None and profile == "auto":
        changed = ", ".join(resolved.changed)
        say(f"no GPU found: profile '{resolved.profile}' is used (it sets {changed}); --profile none keeps the recipe")
    for record in plugins.records:
        for warning in record.warnings:
            say(f"plugin {record.label}: {warning}")
    return resolved, plugins


def named(resolved: Resolved) -> Resolved:
    """The recipe under the name that its run gets: the profile's name is part of it."""
    if resolved.profile is None:
        return resolved
    name = f"{resolved.recipe.name}-{resolved.profile}"
    return replace(resolved, recipe=replace(resolved.recipe, name=name), tree={**resolved.tree, "name": name})


def _trust(recipe: str, without: Sequence[str], *, granted: bool, started: bool, builds: bool) -> Trust:
    """What a recipe may have executed; one that is part of a run brings the files that the run began with."""
    from polo.store.runfolder import kept_plugins

    try:
        run = run_folder_of(Path(recipe)) if Path(recipe).exists() else None
    except (OSError, ValueError):  # a name too long, a NUL byte: told where the recipe is looked for
        run = None
    kept = () if run is None else kept_plugins(run)
    stems = frozenset(without)
    return Trust(started=started, granted=granted, builds=builds, run=run, kept=kept, without=stems)


@dataclass(frozen=True)
class ShippedRecipe:
    """A recipe that a plugin (polo itself among them) brings along."""

    name: str
    path: Path
    record: PluginRecord

    def summary(self) -> str:
        """The first comment line of the file."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return ""
        return next(
            (line.lstrip("# ").strip() for line in lines[:5] if line.startswith("#") and "$schema" not in line), ""
        )


def shipped_recipes(plugins: Plugins) -> list[ShippedRecipe]:
    """Recipes of all plugins, by name; where two have one name, as ``distribution/name``."""
    found = []
    for record in plugins.records:
        for folder in record.recipes:
            files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]) if folder.is_dir() else []
            found += [ShippedRecipe(file.stem, file, record) for file in files]
    names = [item.name for item in found]
    return sorted(
        (
            item
            if names.count(item.name) == 1
            else ShippedRecipe(f"{item.record.dist}/{item.name}", item.path, item.record)
            for item in found
        ),
        key=lambda item: item.name,
    )


def find_recipe(recipe: str, plugins: Plugins) -> Path:
    """The file of a recipe given by path or by name.

    Raises:
        InputError: there is neither.
    """
    path = Path(recipe)
    try:
        if path.exists():
            return path
    except (OSError, ValueError):  # too long, or a NUL byte
        raise InputError("no such recipe", where=repr(recipe[:80]), fix="see: polo ls recipes") from None
    shipped = {item.name: item.path for item in shipped_recipes(plugins)}
    if recipe in shipped:
        return _near(shipped[recipe])
    fix = did_you_mean(path.stem, shipped, label="give a path, or one of")
    if path.stem in shipped:
        fix = f"a recipe that comes with polo is called by its name: {path.stem}"
    raise InputError("no such recipe file", where=recipe, fix=fix or "give the path of a YAML file")


def _near(path: Path) -> Path:
    """The path as seen from the current folder, if it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def has_gpu() -> bool:
    """Whether this machine seems to have an NVIDIA GPU that may be used; looks without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    if any(Path("/dev").glob("nvidia[0-9]*")):
        return True
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        said = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return said.returncode == 0 and "GPU" in said.stdout
