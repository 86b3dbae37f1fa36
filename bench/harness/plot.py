"""Bars of requests per second, one panel per scenario, as an SVG by hand."""

from __future__ import annotations

from html import escape

COLUMNS = 2
WIDTH, LABEL, VALUE = 480, 125, 80  # of a column, of names, of figures
BAR, GAP, TITLE, MARGIN = 15, 3, 24, 16
OURS, REFERENCE, OTHERS, LINE = "#0b6e4f", "#c9b458", "#8a97a6", "#30363d"


def svg(panels):
    """The picture of [(title, [(server, Spread or None, reference)])].

    A bar is the median, the line on it runs from minimum to maximum. Each panel
    has its own scale, from zero. None is a server without a valid figure, a
    reference one that is no peer.
    """
    parts, y = [], MARGIN
    for i in range(0, len(panels), COLUMNS):
        row = panels[i:i + COLUMNS]
        for column, (title, bars) in enumerate(row):
            parts.append(f'<g transform="translate({column * WIDTH} {y})">')
            parts += [*_panel(title, bars), "</g>"]
        y += TITLE + max(len(bars) for _, bars in row) * (BAR + GAP) + MARGIN
    style = ("text{font:12px sans-serif;fill:#1f2328}.title{font-weight:bold}"
             ".end{text-anchor:end}")
    width = WIDTH * min(COLUMNS, max(len(panels), 1))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" '
            f'viewBox="0 0 {width} {y}">\n<style>{style}</style>\n'
            f'<rect width="{width}" height="{y}" fill="#ffffff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def _panel(title, bars):
    yield _text(MARGIN, 14, title, "title")
    top = max((s.max for _, s, _ in bars if s), default=0) or 1
    for i, (server, spread, reference) in enumerate(bars):
        colour = OURS if server == "gowsgi" else REFERENCE if reference else OTHERS
        yield from _bar(TITLE + i * (BAR + GAP), server, spread, top, colour)


def _text(x, y, text, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _bar(y, server, spread, top, colour):
    base = y + BAR - 4
    parts = [_text(LABEL - 8, base, server, "end")]
    if spread is None:
        return parts + [_text(LABEL, base, "no valid figure")]
    scale = (WIDTH - LABEL - VALUE - MARGIN) / top
    low, high = LABEL + spread.min * scale, LABEL + spread.max * scale
    middle = y + BAR / 2
    parts.append(f'<rect x="{LABEL}" y="{y}" width="{spread.median * scale:.1f}" '
                 f'height="{BAR}" fill="{colour}"/>')
    parts.append(f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 3}v6'
                 f'M{high:.1f} {middle - 3}v6" stroke="{LINE}" fill="none"/>')
    parts.append(_text(high + 6, base, f"{spread.median:,.0f}/s"))
    return parts
