"""Texts that are hardly YAML, and data that YAML can hold, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

# pieces of which YAML is made, so that random texts get past the first character
PIECES = st.sampled_from(
    [
        *["a", "b: ", ": ", "- ", "\n", "  ", "{", "}", "[", "]", ",", "&x ", "*x", "!!int ", "!t ", "|\n", ">-\n"],
        *["'", '"', "#", "? ", "---\n", "...\n", "%YAML 1.1\n", "<<: ", "1e-5", "0o17", "\\U7fffffff", "\\ud800"],
        *["\t", "${x}", "~", "\0", "\ufeff", "\x85", "\u2028", "é", "😀", "9" * 500, "1e999", ".nan", "use: "],
        *["&x [", "*x, *x"],
    ]
)
YAMLISH = st.lists(PIECES, max_size=40).map("".join)
SCALARS = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=15
)
