/* Vector table and start of every program; the handlers that a port does not define end in a reset. */
#include <stdint.h>

#include "port.h"
#include "soc.h"

extern uint32_t _stack_top, _data_start, _data_end, _data_load, _bss_start, _bss_end;

int main(void);
void SysTick_Handler(void);
void UART0_Handler(void);

/* Nothing can be trusted after a fault: start again. The reset cause tells. */
static void fault(void) { port_reset(); }

__attribute__((weak)) void SysTick_Handler(void) { fault(); }
__attribute__((weak)) void UART0_Handler(void) { fault(); }

__attribute__((noreturn)) void Reset_Handler(void) {
    const uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end;)
        *to++ = *from++;
    for (uint32_t *to = &_bss_start; to < &_bss_end;)
        *to++ = 0;
    main();
    port_reset();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16 + 64] = {
    [0] = &_stack_top,
    [1] = Reset_Handler,
    [2 ... 14] = fault,
    [15] = SysTick_Handler,
    [16 ... 16 + UART0_IRQ - 1] = fault,
    [16 + UART0_IRQ] = UART0_Handler,
    [16 + UART0_IRQ + 1 ... 16 + 63] = fault,
};
