# The libraries of every build, as one interface target. All of them are Debian packages (README.md lists their names).
find_package(Threads REQUIRED)
find_package(MPI REQUIRED COMPONENTS C)
find_package(HDF5 REQUIRED COMPONENTS C)
# Debian's dnnl-config.cmake asks for OpenCL headers that a CPU engine does not need, so the library is found by hand.
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
file(STRINGS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h dnnl_version_lines REGEX "DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]")
string(REGEX REPLACE "[^0-9;]" "" dnnl_VERSION "${dnnl_version_lines}")
list(JOIN dnnl_VERSION "." dnnl_VERSION)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(ZLIB REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
# Decoders of compressed HDF5 chunks. Their packages describe themselves to CMake in some releases only.
foreach(library deflate zstd lz4 blosc)
  string(TOUPPER ${library} name)
  find_library(${name}_LIBRARY ${library} REQUIRED)
  list(APPEND decoder_libraries ${${name}_LIBRARY})
endforeach()
# The decoder of szip chunks, which a build can do without: libhdf5 then decodes them.
find_path(AEC_INCLUDE_DIR libaec.h)
find_library(AEC_LIBRARY aec)
if(AEC_LIBRARY AND AEC_INCLUDE_DIR)
  list(APPEND decoder_libraries ${AEC_LIBRARY})
endif()
# Decoders of images in data sets, which a build can do without.
find_package(JPEG)
find_package(PNG)

add_library(lockstep_dependencies INTERFACE)
target_include_directories(lockstep_dependencies SYSTEM INTERFACE ${MPI_C_INCLUDE_DIRS} ${HDF5_C_INCLUDE_DIRS})
# HDF5 1.12 and 2.0 changed functions of 1.10; H5_USE_110_API selects the API of 1.10 in later versions.
target_compile_definitions(lockstep_dependencies INTERFACE OMPI_SKIP_MPICXX=1 H5_USE_110_API)
target_link_libraries(lockstep_dependencies INTERFACE
  ${MPI_C_LIBRARIES} ${HDF5_C_LIBRARIES} ${DNNL_LIBRARY} OpenMP::OpenMP_CXX fmt::fmt spdlog::spdlog CLI11::CLI11
  nlohmann_json::nlohmann_json tomlplusplus::tomlplusplus ZLIB::ZLIB ${decoder_libraries} ${XXHASH_LIBRARY} Threads::Threads ${CMAKE_DL_LIBS})
foreach(library JPEG PNG)
  if(${library}_FOUND)
    target_link_libraries(lockstep_dependencies INTERFACE ${library}::${library})
  endif()
endforeach()
