# Writes OUT, C with the commit of SOURCE that is built, unless it says so already.
cmake_minimum_required(VERSION 3.22)
set(COMMIT "")
if(EXISTS ${SOURCE}/.git)
  execute_process(COMMAND git -C ${SOURCE} rev-parse --short=10 HEAD
    OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#include \"common/version.h\"\n\nconst char version_commit[] = \"@COMMIT@\";\n"
  @ONLY)
