// The entry point of the C++ tests. Every tests/cpp/<floor>/test_*.cpp is part of this executable.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
