# Compiles every kernel file once per instruction set level. Levels share no symbol: Eigen is renamed, our own code is
# in `inline namespace CHAINRULE_ISA`; otherwise the linker would keep one copy of a template for all levels.
# Kernels for AMX, which some processors of level v4 have beside it, are compiled once.
# Sets CHAINRULE_LEVELS, CHAINRULE_AMX and CHAINRULE_KERNEL_OBJECTS.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND CMAKE_SIZEOF_VOID_P EQUAL 8)
  set(default_isas "v2;v3;v4")
else()
  set(default_isas default)
endif()
set(CHAINRULE_ISAS "${default_isas}" CACHE STRING
    "Instruction set levels: some of v2, v3, v4 (x86-64), or native (this machine), or default (the compiler's)")
string(REPLACE "," ";" CHAINRULE_LEVELS "${CHAINRULE_ISAS}")
list(LENGTH CHAINRULE_LEVELS level_count)
foreach(level IN LISTS CHAINRULE_LEVELS)
  if(NOT level MATCHES "^(v2|v3|v4|native|default)$" OR (level MATCHES "native|default" AND level_count GREATER 1)
     OR (level MATCHES "^v" AND NOT default_isas MATCHES v2))
    message(FATAL_ERROR "CHAINRULE_ISAS: cannot build \"${CHAINRULE_ISAS}\" on ${CMAKE_SYSTEM_PROCESSOR}; "
                        "give some of v2, v3, v4 on x86-64, or native, or default")
  endif()
endforeach()

# Position-independent, hidden, never part of anybody's link-time optimization.
function(chainrule_own_code target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                        VISIBILITY_INLINES_HIDDEN ON INTERPROCEDURAL_OPTIMIZATION OFF CXX_EXTENSIONS OFF)
endfunction()

set(kernel_flags -O3 -fno-exceptions -fno-rtti)
check_cxx_compiler_flag(-fno-gnu-unique CHAINRULE_HAS_NO_GNU_UNIQUE)
if(CHAINRULE_HAS_NO_GNU_UNIQUE)
  list(APPEND kernel_flags -fno-gnu-unique)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU") # its own AVX-512 headers set these off when inlined
  list(APPEND kernel_flags -Wno-uninitialized -Wno-maybe-uninitialized -Wno-ignored-attributes)
endif()

set(amx_march -march=x86-64-v4 -mavx512bf16 -mamx-tile -mamx-bf16)
set(CHAINRULE_AMX OFF)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND default_isas MATCHES v2 AND CHAINRULE_LEVELS MATCHES "v4|native")
  string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${amx_march}")
  check_cxx_source_compiles("int main() { asm volatile(\"tilerelease\"); }" CHAINRULE_COMPILER_KNOWS_AMX)
  unset(CMAKE_REQUIRED_FLAGS)
  set(CHAINRULE_AMX ${CHAINRULE_COMPILER_KNOWS_AMX})
endif()

file(GLOB kernels CONFIGURE_DEPENDS src/kernels/*.cpp)
set(amx_kernels ${CMAKE_CURRENT_SOURCE_DIR}/src/kernels/matmul_bf16.cpp)
list(REMOVE_ITEM kernels ${amx_kernels})
set(CHAINRULE_KERNEL_OBJECTS)
add_custom_target(chainrule_kernels)
set(kernel_sets ${CHAINRULE_LEVELS})
if(CHAINRULE_AMX)
  list(APPEND kernel_sets amx)
endif()
foreach(level IN LISTS kernel_sets)
  set(sources ${kernels})
  set(march -march=x86-64-${level})
  if(level STREQUAL "native")
    set(march -march=native)
  elseif(level STREQUAL "default")
    set(march)
  elseif(level STREQUAL "amx")
    set(march ${amx_march})
    set(sources ${amx_kernels})
  endif()
  add_library(chainrule_kernels_${level} OBJECT ${sources})
  target_link_libraries(chainrule_kernels_${level} PRIVATE chainrule_private)
  target_compile_definitions(chainrule_kernels_${level} PRIVATE
    CHAINRULE_ISA=isa_${level} Eigen=Eigen_${level} NDEBUG EIGEN_NO_DEBUG EIGEN_DONT_PARALLELIZE EIGEN_MPL2_ONLY EIGEN_NO_IO)
  target_compile_options(chainrule_kernels_${level} PRIVATE ${kernel_flags} ${march})
  chainrule_own_code(chainrule_kernels_${level})
  add_dependencies(chainrule_kernels chainrule_kernels_${level})
  list(APPEND CHAINRULE_KERNEL_OBJECTS $<TARGET_OBJECTS:chainrule_kernels_${level}>)
endforeach()
