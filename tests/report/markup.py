"""Whether a page is whole: every tag that opens closes in order."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "line", "rect", "polyline", "polygon", "br"}


class Balanced(HTMLParser):
    """Counts what is open; every tag that opens must close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def check(text: str) -> Balanced:
    parsed = Balanced()
    parsed.feed(text)
    assert parsed.open == []
    return parsed
