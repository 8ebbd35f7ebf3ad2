/* Ways to die, for tests of the watchdog and of the fault handlers. */
#ifndef FAULT_H
#define FAULT_H

typedef void fault_action(void);

/* The fault of this name - hang, crash, hardfault or stack -, NULL if there is none. */
fault_action *fault_by_name(const char *name);

/* Spin until the watchdog bites. */
__attribute__((noreturn)) void fault_hang(void);

/* Load from an address where nothing is. */
__attribute__((noreturn)) void fault_hard(void);

#endif
