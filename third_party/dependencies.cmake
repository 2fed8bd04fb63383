# Finds the header-only libraries chainrule is built with (using it needs none). Looked at in this order:
# CHAINRULE_DEPS_DIR; <package>_DIR; third_party/prefix where it is filled (an sdist brings it so); what find_package
# sees; the pinned wheel, which pip downloads and checks and which is unpacked into third_party/prefix.
# Sets CHAINRULE_EIGEN_INCLUDE, CHAINRULE_JSON_INCLUDE, CHAINRULE_EIGEN_VERSION, and where they are needed
# CHAINRULE_DOCTEST_INCLUDE (tests) and CHAINRULE_CLI11_INCLUDE (benchmarks).

set(CHAINRULE_DEPS_DIR "$ENV{CHAINRULE_DEPS_DIR}" CACHE PATH
    "Where Eigen and nlohmann_json are: an install prefix or an unpacked pgm-build-deps wheel")
set(chainrule_prefix "${CMAKE_CURRENT_LIST_DIR}/prefix")
set(chainrule_pin "${CMAKE_CURRENT_LIST_DIR}/requirements.txt")
include("${CMAKE_CURRENT_LIST_DIR}/fetch.cmake")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${chainrule_pin}")

if(CHAINRULE_DEPS_DIR AND NOT IS_DIRECTORY "${CHAINRULE_DEPS_DIR}")
  message(FATAL_ERROR "chainrule: CHAINRULE_DEPS_DIR is no folder: ${CHAINRULE_DEPS_DIR}")
endif()

# Looks for `header` under `root`, laid out as an install prefix or with one folder per library.
function(chainrule_look_in root folder header out)
  find_path(path "${header}" NO_CACHE NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH PATHS "${root}"
            PATH_SUFFIXES include/eigen3 include ${folder}/include/eigen3 ${folder}/include
                          pgm_build_deps/${folder}/include/eigen3 pgm_build_deps/${folder}/include)
  string(REGEX REPLACE "/$" "" path "${path}")
  set(${out} "${path}" PARENT_SCOPE)
endfunction()

# The version of the Eigen headers in `include`; below 5.0 there is no Eigen/Version.
function(chainrule_eigen_version include out)
  set(version "3")
  if(EXISTS "${include}/Eigen/Version")
    file(STRINGS "${include}/Eigen/Version" line REGEX "EIGEN_VERSION_STRING")
    string(REGEX MATCH "[0-9.]+" version "${line}")
  endif()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# Drops the folder in `out` if it holds an Eigen before 5.0: an error where somebody asked for it by name; where it
# only happened to be there (or is the host project's own, which stays as it is) we say so and look on.
function(chainrule_check_eigen out asked_for)
  chainrule_eigen_version("${${out}}" version)
  if(version VERSION_LESS 5.0)
    if(asked_for)
      message(FATAL_ERROR "chainrule: Eigen 5.0 or newer is needed; found an older one in ${${out}}.\n${chainrule_how}")
    endif()
    message(STATUS "chainrule: the Eigen in ${${out}} is older than 5.0 and is not used")
    set(${out} "" PARENT_SCOPE)
  endif()
endfunction()

# find_package, for the include folder alone; puts back <package>_DIR, which a host project may have set for itself.
function(chainrule_find_installed out package version target asked_for)
  set(folder "${${package}_DIR}")
  string(REGEX REPLACE "[.][.][.].*" "" least "${version}")
  if(NOT TARGET ${target})
    find_package(${package} ${version} CONFIG QUIET)
  endif()
  if(TARGET ${target})
    get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
    list(GET includes 0 include)
    set(${out} "${include}" PARENT_SCOPE)
  elseif(${package}_CONSIDERED_CONFIGS)
    set(found "${package} ${${package}_CONSIDERED_VERSIONS} (${${package}_CONSIDERED_CONFIGS})")
    if(asked_for)
      message(FATAL_ERROR "chainrule: ${found} will not do: ${least} or newer is needed.\n${chainrule_how}")
    endif()
    message(STATUS "chainrule: ${found} is not used: ${least} or newer is needed")
    set(${package}_DIR "${folder}" CACHE PATH "" FORCE)
  endif()
endfunction()

# Sets `out` to the include folder of one library, or to nothing.
function(chainrule_find out package version target folder header)
  set(found "")
  set(asked_for OFF)
  if(PROJECT_IS_TOP_LEVEL AND ${package}_DIR)
    set(asked_for ON)
  endif()
  if(CHAINRULE_DEPS_DIR)
    chainrule_look_in("${CHAINRULE_DEPS_DIR}" ${folder} ${header} found)
    if(found AND package STREQUAL "Eigen3")
      chainrule_check_eigen(found ON)
    endif()
  endif()
  if(NOT found AND chainrule_prefix_filled AND NOT asked_for)
    chainrule_look_in("${chainrule_prefix}" ${folder} ${header} found)
  endif()
  if(NOT found)
    chainrule_find_installed(found ${package} ${version} ${target} ${asked_for})
    if(found AND package STREQUAL "Eigen3")
      chainrule_check_eigen(found ${asked_for})
    endif()
  endif()
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

macro(chainrule_find_all)
  chainrule_prefix_state(chainrule_prefix_filled)
  chainrule_find(CHAINRULE_EIGEN_INCLUDE Eigen3 5.0...<100 Eigen3::Eigen eigen Eigen/Core)
  chainrule_find(CHAINRULE_JSON_INCLUDE nlohmann_json 3.11 nlohmann_json::nlohmann_json nlohmann_json nlohmann/json.hpp)
  if(CHAINRULE_TESTS)
    chainrule_find(CHAINRULE_DOCTEST_INCLUDE doctest 2.4.9 doctest::doctest doctest doctest/doctest.h)
  endif()
  if(CHAINRULE_BENCH)
    chainrule_find(CHAINRULE_CLI11_INCLUDE CLI11 2.3 CLI11::CLI11 cli11 CLI/CLI.hpp)
  endif()
endmacro()

chainrule_find_all()
if(NOT CHAINRULE_EIGEN_INCLUDE OR NOT CHAINRULE_JSON_INCLUDE OR (CHAINRULE_TESTS AND NOT CHAINRULE_DOCTEST_INCLUDE)
   OR (CHAINRULE_BENCH AND NOT CHAINRULE_CLI11_INCLUDE))
  chainrule_fetch_prefix()
  chainrule_find_all()
elseif(SKBUILD_STATE STREQUAL "sdist" AND NOT chainrule_prefix_filled)
  chainrule_fetch_prefix()
endif()
chainrule_eigen_version("${CHAINRULE_EIGEN_INCLUDE}" CHAINRULE_EIGEN_VERSION)
message(STATUS "chainrule: Eigen ${CHAINRULE_EIGEN_VERSION} from ${CHAINRULE_EIGEN_INCLUDE}")
message(STATUS "chainrule: nlohmann_json from ${CHAINRULE_JSON_INCLUDE}")
