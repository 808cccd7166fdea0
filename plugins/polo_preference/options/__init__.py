"""Options of this plugin's components: what a recipe may write. Imports no torch."""
