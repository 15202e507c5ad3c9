// page_files - the files of coordinator/page/, as they were when this was built.

#ifndef COORDINATOR_PAGE_FILES_H
#define COORDINATOR_PAGE_FILES_H

// A phone's width first, dark and light as the reader has it, no colour alone says
// anything. Reports have it in them, the pages of a server ask for it.
extern const char page_style_css[];

#endif
