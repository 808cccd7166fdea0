"""The exact best titles of a catalogue without scoring it: its tree, the search, and the model's part in it."""
