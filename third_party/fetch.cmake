# Fills third_party/prefix with the headers of the pinned wheel. Not the order in which libraries are looked for:
# that is dependencies.cmake. The prefix is valid as long as its stamp is the checksum of requirements.txt.

set(chainrule_folders eigen nlohmann_json doctest cli11)
file(STRINGS "${chainrule_pin}" chainrule_requirement REGEX "^pgm-build-deps==")
string(REGEX MATCH "^[^ ]+" chainrule_requirement "${chainrule_requirement}")
set(chainrule_how "  To get it, one of:
    let this build fetch it: `python3 -m pip download ${chainrule_requirement}` must work here
    pip install ${chainrule_requirement}
      and pass -DCHAINRULE_DEPS_DIR=<site-packages>/pgm_build_deps
    install Eigen 5.0 or newer and nlohmann_json and pass their prefix as -DCHAINRULE_DEPS_DIR=<prefix>")

function(chainrule_prefix_state out)
  file(SHA256 "${chainrule_pin}" pin)
  set(stamp "")
  if(EXISTS "${chainrule_prefix}/stamp")
    file(READ "${chainrule_prefix}/stamp" stamp)
  endif()
  if(stamp STREQUAL pin)
    set(${out} ON PARENT_SCOPE)
  else()
    set(${out} OFF PARENT_SCOPE)
  endif()
endfunction()

# Downloads the wheel with pip, hash checked, and unpacks the libraries we use; `out` is the folder that holds them.
function(chainrule_download scratch out)
  find_program(python NAMES python3 python NO_CACHE)
  if(NOT python)
    set(python python3)
  endif()
  message(STATUS "chainrule: fetching ${chainrule_requirement} with pip (once)")
  execute_process(
    COMMAND "${python}" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all:
            --require-hashes -r "${chainrule_pin}" -d "${scratch}"
    RESULT_VARIABLE status ERROR_VARIABLE complaint OUTPUT_VARIABLE complaint)
  file(GLOB wheel "${scratch}/*.whl")
  if(NOT status EQUAL 0 OR NOT wheel)
    file(REMOVE_RECURSE "${scratch}")
    string(STRIP "${complaint}" complaint)
    message(FATAL_ERROR "chainrule: Eigen 5.0 or newer and nlohmann_json are needed to build; none was found, and pip "
                        "could not fetch them (${status}):\n${complaint}\n${chainrule_how}")
  endif()
  list(TRANSFORM chainrule_folders PREPEND "pgm_build_deps/" OUTPUT_VARIABLE patterns)
  list(TRANSFORM patterns APPEND "/*")
  file(ARCHIVE_EXTRACT INPUT "${wheel}" DESTINATION "${scratch}" PATTERNS ${patterns})
  set(${out} "${scratch}/pgm_build_deps" PARENT_SCOPE)
endfunction()

# Fills the prefix, from a pgm-build-deps that a build environment brought, else from the network.
function(chainrule_fetch_prefix)
  string(SHA256 tag "${CMAKE_BINARY_DIR}")
  string(SUBSTRING "${tag}" 0 8 tag)
  set(scratch "${chainrule_prefix}.${tag}")
  if("${CHAINRULE_EIGEN_INCLUDE}" MATCHES "^(.*/pgm_build_deps)/eigen/include/eigen3$")
    set(from "${CMAKE_MATCH_1}")
  else()
    chainrule_download("${scratch}" from)
  endif()
  list(TRANSFORM chainrule_folders PREPEND "${from}/" OUTPUT_VARIABLE folders)
  file(COPY ${folders} DESTINATION "${scratch}/prefix"
       PATTERN unsupported EXCLUDE PATTERN __pycache__ EXCLUDE PATTERN .gitignore EXCLUDE)
  file(SHA256 "${chainrule_pin}" pin)
  file(WRITE "${scratch}/prefix/stamp" "${pin}")
  file(REMOVE_RECURSE "${chainrule_prefix}")
  file(RENAME "${scratch}/prefix" "${chainrule_prefix}")
  file(REMOVE_RECURSE "${scratch}")
endfunction()
