/* Sends back every byte that UART0 receives, by interrupt, and sleeps in between. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

extern uint32_t _stack_top;

static void uart(void) {
    REG(0x40002108) = 0;
    const uint32_t byte = REG(0x40002518);
    REG(0x4000211C) = 0;
    REG(0x4000251C) = byte;
    while (!REG(0x4000211C)) {}
}

void Reset_Handler(void) {
    REG(0x40002500) = 4;
    REG(0x40002000) = 1;
    REG(0x40002008) = 1;
    REG(0x40002304) = 1 << 2;
    REG(0xE000E100) = 1 << 2;
    for (;;) __asm volatile("wfi");
}

__attribute__((section(".vectors"), used)) static const void *vectors[16 + 48] = {
    [0] = &_stack_top, [1] = Reset_Handler, [16 + 2] = uart,
};
