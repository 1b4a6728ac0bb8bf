# cmake -DOUT=FILE.cpp -DFOLDER=folder -DHEADER=layer/header.h -DNAMESPACE=layer -DFUNCTION=name -P embed.cmake:
# the folder's files as a C++ source. HEADER declares EmbeddedFile and the function in namespace diffit::NAMESPACE.
file(GLOB files ${FOLDER}/*)
set(source "#include \"${HEADER}\"\n\nnamespace diffit::${NAMESPACE} {\n\nstd::span<const EmbeddedFile> ${FUNCTION}() {\n")
string(APPEND source "  static constexpr EmbeddedFile kFiles[] = {\n")
foreach(file ${files})
  file(READ ${file} text)
  get_filename_component(name ${file} NAME)
  string(APPEND source "      {\"${name}\", R\"~~~(${text})~~~\"},\n")
endforeach()
string(APPEND source "  };\n  return kFiles;\n}\n\n}  // namespace diffit::${NAMESPACE}\n")
file(WRITE ${OUT} "${source}")
