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

__attribute__((noreturn, used)) static void start(void) {
    const uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end;)
        *to++ = *from++;
    for (uint32_t *to = &_bss_start; to < &_bss_end;)
        *to++ = 0;
    main();
    port_reset();
}

/*
 * Boot loaders differ in how they leave the core. MCUboot sets VTOR with CONFIG_BOOT_INTR_VEC_RELOC only, and without
 * CONFIG_MCUBOOT_CLEANUP_ARM_CORE its thread's stack stays in use, interrupts enabled, and BASEPRI raised.
 */
__attribute__((naked, noreturn)) void Reset_Handler(void) {
    __asm volatile("cpsid i\n"
                   "movs r0, #0\n"
                   "ldr r1, =0xE000E010\n" /* SYST_CSR */
                   "str r0, [r1]\n"
                   "mvns r2, r0\n"
                   "ldr r1, =0xE000E180\n" /* NVIC_ICER0 to 2, NVIC_ICPR0 to 2 */
                   "str r2, [r1]\n str r2, [r1, #4]\n str r2, [r1, #8]\n"
                   "ldr r1, =0xE000E280\n"
                   "str r2, [r1]\n str r2, [r1, #4]\n str r2, [r1, #8]\n"
                   "ldr r1, =0xE000ED08\n" /* SCB_VTOR */
                   "ldr r2, =vectors\n"
                   "str r2, [r1]\n"
                   "ldr r2, [r2]\n"
                   "msr control, r0\n"
                   "isb\n"
                   "msr msp, r2\n"
                   "msr basepri, r0\n"
                   "cpsie i\n"
                   "isb\n"
                   "b start\n"
                   ".ltorg\n");
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
