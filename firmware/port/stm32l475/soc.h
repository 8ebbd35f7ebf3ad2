/* Facts of the SoC that programs are built with. */
#ifndef SOC_H
#define SOC_H

#define UART0_IRQ 37 /* USART1, which the board's debug probe makes a USB serial port of */

/* Whether a write unit takes nothing but zeros once it was written. Here each has check bits of its own. */
#define FLASH_WRITES_ONCE 1

#endif
