// Marks what the shared library exports; everything else is hidden.
#pragma once

#if defined(__GNUC__)
#define CHAINRULE_API __attribute__((visibility("default")))
#else
#define CHAINRULE_API
#endif
