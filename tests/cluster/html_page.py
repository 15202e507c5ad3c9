"""html_page - what a page of HTML has in it."""

import html.parser


class Page(html.parser.HTMLParser):
    """Reads a page strictly enough to see whether it is whole and refers to nothing."""

    EMPTY = {"meta", "path", "rect"}

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.faults, self.text, self.source = [], {}, [], "", text
        self.feed(text)
        self.faults += [f"{x} stays open" for x in self.open]

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        if tag != "meta" and not (tag in self.EMPTY and self.get_starttag_text().endswith("/>")):
            self.open.append(tag)
        for k, v in attrs:
            if k.startswith("on") or k in ("src", "href", "action", "style", "srcdoc"):
                self.faults.append(f"{tag} {k}={v}")

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")

    def handle_data(self, data):
        self.text += data
