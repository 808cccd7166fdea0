"""Taking apart titles that were joined into one text. Knows titles; knows no file."""

from __future__ import annotations

from collections.abc import Container


def split_titles(text: str, separator: str, known: Container[str]) -> list[str]:
    """The titles in ``text``, such that each is known, if that is possible; else the text cut at every separator.

    A title may itself begin or end with characters of the separator (the band is called ":wumpscut:"), so cutting
    at each one of "Covenant:::wumpscut:::Haujobb" would yield names of nobody.

    Example:
        >>> known = {"Covenant", ":wumpscut:", "Haujobb"}
        >>> split_titles("Covenant:::wumpscut:::Haujobb", "::", known)
        ['Covenant', ':wumpscut:', 'Haujobb']
        >>> split_titles("A::B", "::", known)
        ['A', 'B']
    """
    cut = text.split(separator)
    if all(title in known for title in cut):
        return cut
    ends = [i for i in range(len(text)) if text.startswith(separator, i)] + [len(text)]
    # before[end] = where the last title of some full division of text[:end] starts
    before: dict[int, int] = {}
    for start in [0, *(end + len(separator) for end in ends[:-1])]:
        if start and start - len(separator) not in before:
            continue
        for end in ends:
            if end >= start and end not in before and text[start:end] in known:
                before[end] = start
    if len(text) not in before:
        return cut
    titles, end = [], len(text)
    while True:
        titles.append(text[before[end] : end])
        if before[end] == 0:
            return titles[::-1]
        end = before[end] - len(separator)
