"""A few shapes as SVG, on a light ground that reads in light and dark pages. Knows no picture."""

from __future__ import annotations

from html import escape

INK, SOFT, LINE, GROUND = "#1f2933", "#5f6c7b", "#c5ced8", "#ffffff"
#: the chosen item, a negative, what is easy or left out, a second line
CHOSEN, REJECTED, EASY, OTHER = "#00796b", "#c2410c", "#94a3b8", "#4338ca"


def text(x: float, y: float, words: str, *, size: float = 13, colour: str = INK, anchor: str = "start",
         bold: bool = False) -> str:  # fmt: skip
    """Words at a place."""
    weight = ' font-weight="600"' if bold else ""
    look = f'font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"{weight}'
    return f'<text x="{x:g}" y="{y:g}" {look}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, *, fill: str = GROUND, stroke: str = LINE) -> str:
    """A box with round corners."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" stroke="{stroke}"/>'


def line(
    x1: float, y1: float, x2: float, y2: float, *, colour: str = SOFT, width: float = 1.5, dashes: str = ""
) -> str:
    """A line."""
    dash = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" stroke-width="{width:g}"{dash}/>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A line with a head, straight across or down."""
    head = f"{x2:g},{y2:g} {x2 - 7:g},{y2 - 4:g} {x2 - 7:g},{y2 + 4:g}"
    if x1 == x2:
        head = f"{x2:g},{y2:g} {x2 - 4:g},{y2 - 7:g} {x2 + 4:g},{y2 - 7:g}"
    return line(x1, y1, x2, y2) + f'<polygon points="{head}" fill="{SOFT}"/>'


def dot(x: float, y: float, *, fill: str, radius: float = 6) -> str:
    """A point."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"/>'


def picture(width: float, height: float, title: str, parts: list[str]) -> str:
    """The whole file."""
    ground = f'<rect width="{width:g}" height="{height:g}" fill="{GROUND}"/>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="system-ui, sans-serif" role="img">'
    )
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *parts, "</svg>"]) + "\n"
