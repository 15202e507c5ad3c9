// page_files - the files of coordinator/page/, as they were when this was built.

#ifndef COORDINATOR_PAGE_FILES_H
#define COORDINATOR_PAGE_FILES_H

// A phone's width first, dark and light as the reader has it, no colour alone says
// anything. Reports have it in them, the pages of a server ask for it.
extern const char page_style_css[];
extern const char page_site_css[]; // what those of a server have beside it
extern const char page_live_js[];  // keeps them up to date

#endif
