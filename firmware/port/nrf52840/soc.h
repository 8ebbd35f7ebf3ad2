/* Facts of the SoC that programs are built with. */
#ifndef SOC_H
#define SOC_H

#define UART0_IRQ 2 /* UARTE0 at 0x40002000: the peripheral ID is the interrupt number */

/* Whether a write unit takes nothing but zeros once it was written. Here bits can go to 0 one by one. */
#define FLASH_WRITES_ONCE 0

#endif
