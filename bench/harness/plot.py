"""Bars of requests per second, one panel per scenario, as an SVG by hand."""

from __future__ import annotations

from html import escape

WIDTH, LABEL, VALUE = 720, 140, 90  # of the picture, of names, of figures
BAR, GAP, TITLE, MARGIN = 16, 4, 30, 16
OURS, OTHERS, LINE = "#0b6e4f", "#8a97a6", "#30363d"


def svg(panels):
    """The picture of [(title, [(server, Spread or None)])].

    A bar is the median, the line on it runs from minimum to maximum. Each panel
    has its own scale, from zero. None is a server without a valid figure.
    """
    parts, y = [], MARGIN
    for title, bars in panels:
        parts.append(_text(MARGIN, y + 14, title, "title"))
        y += TITLE
        top = max((s.max for _, s in bars if s), default=0) or 1
        for server, spread in bars:
            parts += _bar(y, server, spread, top)
            y += BAR + GAP
        y += MARGIN
    style = ("text{font:12px sans-serif;fill:#1f2328}.title{font-weight:bold}"
             ".end{text-anchor:end}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" '
            f'viewBox="0 0 {WIDTH} {y}">\n<style>{style}</style>\n'
            f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def _text(x, y, text, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _bar(y, server, spread, top):
    base = y + BAR - 4
    parts = [_text(LABEL - 8, base, server, "end")]
    if spread is None:
        return parts + [_text(LABEL, base, "no valid figure")]
    scale = (WIDTH - LABEL - VALUE - MARGIN) / top
    colour = OURS if server == "gowsgi" else OTHERS
    low, high = LABEL + spread.min * scale, LABEL + spread.max * scale
    middle = y + BAR / 2
    parts.append(f'<rect x="{LABEL}" y="{y}" width="{spread.median * scale:.1f}" '
                 f'height="{BAR}" fill="{colour}"/>')
    parts.append(f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 3}v6'
                 f'M{high:.1f} {middle - 3}v6" stroke="{LINE}" fill="none"/>')
    parts.append(_text(high + 6, base, f"{spread.median:,.0f}/s"))
    return parts
