// text - small questions about text that came from outside.

#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// The text between single quotes, fit to be shown on one line of a terminal: control
// characters and broken UTF-8 as \x1b, longer texts cut with "...".
enum { TEXT_QUOTED = 160 };
const char *text_quoted(const char *s, char out[TEXT_QUOTED]);

// Bytes of the character that s[0..n), n > 0, begins with; 0: it is broken UTF-8 or a
// control character, which a terminal might obey.
size_t text_harmless(const char *s, size_t n);
bool text_is_utf8(const char *s, size_t n);
char *text_make_harmless(char *s);    // ... gets a '?' for each byte that is not; returns s
bool text_has_control(const char *s); // C0 and DEL
bool text_is_plain(const char *s);    // harmless to its end
bool text_is_identifier(const char *s); // [A-Za-z_][A-Za-z0-9_]*

// Makes an identifier of any text: other characters than ASCII letters and digits become
// one
// '_' each run, none at the ends; a leading digit gets "t_" before it; cut to `size` with
// its NUL. False: nothing was left.
bool text_to_identifier(const char *s, char *out, size_t size);

#endif
