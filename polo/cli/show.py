"""``polo show``: every value of a recipe and where it comes from."""

from __future__ import annotations

from polo.cli.common import (
    JsonOption,
    NoPluginOption,
    OverridesArgument,
    PluginOption,
    ProfileOption,
    RecipeArgument,
    TrustOption,
    open_recipe,
)
from polo.cli.output import print_commented, print_json


def show(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    profile: ProfileOption = "auto",
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
    json: JsonOption = False,
) -> None:
    """Print a recipe with every default filled in, and the origin of each value."""
    from polo.recipe.dump import dump

    resolved, _ = open_recipe(recipe, overrides, profile, plugin, no_plugin, trust_plugins=trust_plugins, builds=False)
    if json:
        origins = {".".join(map(str, place)): origin for place, origin in resolved.origins.items()}
        print_json({"profile": resolved.profile, "recipe": resolved.tree, "origins": origins})
        return
    print_commented(dump(resolved.tree, note=lambda place: resolved.origins.get(place, "")))
