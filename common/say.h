// say - sentences for people, on a terminal or in a log.
//
// Names of files and columns, values, and what programs and workers said stand in them, and
// whoever wrote those may have put control sequences there, which a terminal obeys: it
// types, renames its window, hides lines. Everything that a person reads goes out here.

#ifndef COMMON_SAY_H
#define COMMON_SAY_H

#include <stdarg.h>
#include <stdio.h>

// As fprintf, but control characters and broken UTF-8 become \x1b; tabs and line ends stay.
void say_to(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void say_to_v(FILE *to, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

// One message and its line end. What follows the first of several lines is indented, so
// that no value with line ends in it looks like a message of its own.
void say_line(FILE *to, const char *text);

// Of what may have zero bytes: they become \x00.
void say_bytes(FILE *to, const void *p, size_t n);

#endif
