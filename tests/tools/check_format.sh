#!/bin/sh
# Fails when a source file is not formatted as .clang-format says.
set -eu
bad=0
for f in $(git ls-files '*.c' '*.h'); do
	clang-format-14 "$f" | cmp -s - "$f" || { echo "$f is not formatted: clang-format -i $f"; bad=1; }
done
exit $bad
