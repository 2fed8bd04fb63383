# Install rules. The same tree serves a prefix (PREFIX/include, lib, lib/cmake) and, as the folder `chainrule`, the wheel.
include(CMakePackageConfigHelpers)

if(NOT DEFINED CMAKE_INSTALL_LIBDIR)
  set(CMAKE_INSTALL_LIBDIR lib)
endif()
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/chainrule)

install(TARGETS chainrule EXPORT chainruleTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/chainrule DESTINATION include FILES_MATCHING PATTERN "*.hpp")
install(EXPORT chainruleTargets NAMESPACE chainrule:: DESTINATION ${config_dir})

set(CHAINRULE_IS_STATIC OFF)
if(kind STREQUAL "STATIC")
  set(CHAINRULE_IS_STATIC ON)
endif()
configure_package_config_file(cmake/chainruleConfig.cmake.in chainruleConfig.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(chainruleConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/chainruleConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/chainruleConfigVersion.cmake"
        DESTINATION ${config_dir})

if(NOT SKBUILD) # a wheel carries them beside its metadata
  install(FILES ../LICENSE DESTINATION share/licenses/chainrule)
  install(DIRECTORY ../third_party/licenses/ DESTINATION share/licenses/chainrule/third_party)
endif()
