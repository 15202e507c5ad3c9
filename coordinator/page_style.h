// page_style - the style of pages: a phone's width first, dark and light as the reader has
// it, no colour alone says anything.

#ifndef COORDINATOR_PAGE_STYLE_H
#define COORDINATOR_PAGE_STYLE_H

extern const char page_style[];

#endif
