"""Geometry for server-rendered SVG: numbers in, rectangles out. Pure: no Django, no markup."""
