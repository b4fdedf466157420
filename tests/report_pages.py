"""What stands on a report page: its elements, the cells of its tables, its words."""

from __future__ import annotations

import re
from html.parser import HTMLParser

SAME = 5e-3  # part by which two engines on one machine may differ
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Elements(HTMLParser):
    """Collects the elements, and complains about those that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def table_of(page, heading):
    """The rows of the table after a heading, without its marks."""
    table = re.search(rf"{heading}.*?<tbody>(.*?)</tbody>", page, re.DOTALL).group(1)
    return [
        [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    ]


def text_of(page):
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page))
