#include "behaviour.h"

#include "fault.h"

#if defined(BEHAVIOUR_SELF_TEST_FAILS)
enum { HANGS = 0, CRASHES = 0, CONFIRMS = 1, HEALTHY = 0, LINK = 1 };
static const char name[] = "self_test_fails";
#elif defined(BEHAVIOUR_NEVER_CONFIRMS)
enum { HANGS = 0, CRASHES = 0, CONFIRMS = 0, HEALTHY = 1, LINK = 1 };
static const char name[] = "never_confirms";
#elif defined(BEHAVIOUR_HANGS)
enum { HANGS = 1, CRASHES = 0, CONFIRMS = 1, HEALTHY = 1, LINK = 1 };
static const char name[] = "hangs";
#elif defined(BEHAVIOUR_CRASHES)
enum { HANGS = 0, CRASHES = 1, CONFIRMS = 1, HEALTHY = 1, LINK = 1 };
static const char name[] = "crashes";
#elif defined(BEHAVIOUR_LOSES_LINK)
enum { HANGS = 0, CRASHES = 0, CONFIRMS = 0, HEALTHY = 1, LINK = 0 };
static const char name[] = "loses_link";
#else
enum { HANGS = 0, CRASHES = 0, CONFIRMS = 1, HEALTHY = 1, LINK = 1 };
static const char name[] = "good";
#endif

void behaviour_start(void) {
    if (HANGS)
        fault_hang();
    if (CRASHES)
        fault_hard();
}

bool behaviour_self_test(void) { return HEALTHY; }

bool behaviour_confirms(void) { return CONFIRMS; }

bool behaviour_has_link(void) { return LINK; }

const char *behaviour_name(void) { return name; }
