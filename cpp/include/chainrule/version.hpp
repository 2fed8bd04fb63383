// The version, written here and nowhere else: CMake and pyproject.toml read these three lines.
#pragma once

#define CHAINRULE_VERSION_MAJOR 0
#define CHAINRULE_VERSION_MINOR 1
#define CHAINRULE_VERSION_PATCH 0
