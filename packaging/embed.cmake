# Writes OUT, C with the bytes of each of FILES as an array that a zero follows:
# coordinator/page/style.css becomes page_style_css.
cmake_minimum_required(VERSION 3.22)
set(TEXT "#include \"coordinator/page_files.h\"\n")
foreach(FILE ${FILES})
  get_filename_component(NAME ${FILE} NAME)
  string(MAKE_C_IDENTIFIER "page_${NAME}" NAME)
  file(READ ${FILE} BYTES HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," BYTES "${BYTES}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" BYTES "${BYTES}")
  string(APPEND TEXT "\nconst char ${NAME}[] = {\n${BYTES}0 };\n")
endforeach()
file(WRITE ${OUT} "${TEXT}")
