"""The pieces of a picture: circles, and text that is escaped, measured and cut to a width."""

from __future__ import annotations

import html

SANS = "'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
_NARROW, _WIDE = frozenset("fijlrt.,:;'|!()[]{}/ `-I\""), frozenset("mwMW@%&OQ")
BOLD_FACTOR = 1.15
MAX_CHARACTERS = 500  # that a name may have before anything else is looked at


def escaped(text: str) -> str:
    """Return `text` as the content of an XML element."""
    return html.escape(clean(text))


def clean(text: str) -> str:
    """Return `text` on one line and without the characters that XML does not allow."""
    return "".join(_shown(each) for each in text)


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    code = ord(character)
    in_xml = code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000  # XML 1.0, section 2.2
    is_control = code < 0x20 or 0x7F <= code < 0xA0
    return character if in_xml and not is_control else "\N{REPLACEMENT CHARACTER}"


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return about how wide `text` is at most, in the widest of the usual sans-serif fonts."""
    ems = 0.0
    for each in text:
        if not each.isascii():
            ems += 1.1
        elif each in _NARROW:
            ems += 0.48
        elif each in _WIDE:
            ems += 1.02
        else:
            ems += 0.8 if each.isupper() else 0.66
    return ems * size * (BOLD_FACTOR if bold else 1.0)


def cut(text: str, max_width: float, size: float, *, bold: bool = False) -> str:
    """Return `text`, cleaned and cut so that it takes at most `max_width`."""
    shown = clean(text[:MAX_CHARACTERS])
    if len(text) <= MAX_CHARACTERS and text_width(shown, size, bold=bold) <= max_width:
        return shown
    while shown and text_width(shown + "…", size, bold=bold) > max_width:
        shown = shown[:-1]
    return shown.rstrip() + "…"


def text_at(
    x: float,
    y: float,
    text: str,
    size: float,
    colour: str,
    *,
    anchor: str = "start",
    bold: bool = False,
    full: str = "",
) -> str:
    """Return a line of text whose baseline starts, is centred or ends at (x, y).

    full: what a pointer that rests on it shows, when that is more than `text`.
    """
    title = f"<title>{escaped(full[:MAX_CHARACTERS])}</title>" if full not in ("", text) else ""
    options = "" if anchor == "start" else f' text-anchor="{anchor}"'
    if bold:
        options += ' font-weight="600"'
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}"'
    return f"<text {place}{options}>{title}{escaped(text)}</text>"


def circle_at(
    x: float, y: float, radius: float, fill: str, stroke: str = "none", thickness: float = 1.0
) -> str:
    """Return a circle around (x, y)."""
    place = f'cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"'
    return f'<circle {place} fill="{fill}" stroke="{stroke}" stroke-width="{thickness:g}"/>'
