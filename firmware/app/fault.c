#include "fault.h"

#include "bytes.h"

#define NOWHERE 0xA0000000u
enum { DEPTH = 1 << 20 };

void fault_hang(void) {
    for (;;)
        __asm volatile("" ::: "memory");
}

/* An undefined instruction: what a call into erased or overwritten code comes to. */
static void crash(void) { __asm volatile("udf #0"); }

void fault_hard(void) {
    (void)*(volatile uint32_t *)NOWHERE;
    fault_hang(); /* a core on which that is no fault still ends in the watchdog */
}

/* Each call keeps its frame, until the stack has grown through the data and out of the RAM. */
static __attribute__((noinline)) uint32_t overflow(uint32_t depth) {
    volatile uint8_t frame[256];
    frame[depth % sizeof frame] = (uint8_t)depth;
    return depth == DEPTH ? 0 : overflow(depth + 1) + frame[depth % sizeof frame];
}

static void overflow_stack(void) { (void)overflow(0); }

fault_action *fault_by_name(const char *name) {
    static const struct {
        const char *name;
        fault_action *action;
    } faults[] = {{"hang", fault_hang}, {"crash", crash}, {"hardfault", fault_hard}, {"stack", overflow_stack}};
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++)
        if (text_is(name, faults[i].name))
            return faults[i].action;
    return NULL;
}
